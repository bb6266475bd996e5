/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every test program uses. A test builds up one thing, says that it is ready, waits while it is checkpointed and
 * restored, looks at the thing again and says PASS or FAIL.
 *
 *	test_init(argc, argv);
 *	... build up ...
 *	test_daemon();
 *	test_waitsig();
 *	SABOTAGE(damage what was built);
 *	CHECK(still as it was, "what is wrong");
 *	pass();
 *
 * READY, PASS and FAIL are lines on descriptor 1, a file of the runner's (test/zdtm.py), so that a verdict needs no
 * path: a test may change its root. A child that fails says so itself; its exit status tells the parent.
 */
#ifndef ZDTM_H
#define ZDTM_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE	     4096UL
#define MIB	     (1024UL * 1024)
#define NSEC	     1000000000LL
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* First call. Catches SIGTERM, which ends test_waitsig() and test_go(). */
void test_init(int argc, char **argv);
/* Everything is built up: the runner may checkpoint from here on. */
void test_daemon(void);
/* Sleeps (in a futex) until SIGTERM. */
void test_waitsig(void);
/* Not 0 after SIGTERM: for tests that wait in a way of their own. */
extern volatile int test_stop;
/* For tests that keep working: true until SIGTERM. */
bool test_go(void);

/* Verdicts, all final. fail() and pass() are for after the restore, die() for what could not be built up (counted as a
 * failure too), skip() for what this machine cannot do. fail() and die() add errno where it is set. */
#define PRINTF12 __attribute__((format(printf, 1, 2), noreturn))
PRINTF12 void fail(const char *fmt, ...);
PRINTF12 void die(const char *fmt, ...);
PRINTF12 void skip(const char *fmt, ...);
__attribute__((noreturn)) void pass(void);
/* A line for the log that is no verdict. */
__attribute__((format(printf, 1, 2))) void note(const char *fmt, ...);

#define CHECK(cond, ...)                   \
	do {                               \
		errno = 0;                 \
		if (!(cond))               \
			fail(__VA_ARGS__); \
	} while (0)
/* A call that must work while building up. Gives its value. */
#define SYS(call)                                                   \
	({                                                          \
		long sys_ret = (long)(call);                        \
		if (sys_ret == -1)                                  \
			die("%s:%d %s", __FILE__, __LINE__, #call); \
		sys_ret;                                            \
	})
/* zdtm.py --sabotage proves that a test can fail: it runs without checkpoint, but with this damage, and must say FAIL. */
extern bool test_sabotaged;
#define SABOTAGE(...)                 \
	do {                          \
		if (test_sabotaged) { \
			__VA_ARGS__;  \
		}                     \
	} while (0)

/* fork(2) that dies on failure; in the child SIGTERM is waited for anew. */
pid_t test_fork(void);
/* Ends a child that sits in test_waitsig() or test_go(): SIGTERM, wait, and fail() where its exit status is not 0. */
void test_end(pid_t pid);
/* Waits for the child; gives its wait status. */
int test_wait(pid_t pid);

/* NR threads: RUN(0), RUN(1) and so on. They do not get SIGTERM, which would end what they are waiting in. */
void test_threads(pthread_t *threads, size_t nr, void *(*run)(void *));

/* For threads that wait for each other while building up. */
#define AWAIT(cond)                    \
	do {                           \
		while (!(cond))        \
			sched_yield(); \
	} while (0)
/* A gate between processes: one side waits until the other has opened it. Leaves nothing behind: both ends are closed by then. */
struct gate {
	int fd[2];
};
void gate_init(struct gate *g);
void gate_open(struct gate *g);
void gate_wait(struct gate *g);

/* Contents that depend on SEED and the place: fill() writes them, differs() gives the first wrong offset, or -1. */
void fill(void *buf, size_t len, uint64_t seed);
ssize_t differs(const void *buf, size_t len, uint64_t seed);
/* splitmix64: the next number of the sequence *STATE. */
uint64_t next_random(uint64_t *state);

/* Anonymous memory, readable and writable; dies on failure. SHARED: MAP_SHARED. */
void *map_anon(size_t len, bool shared);
/* NR pages of private memory, page I with fill(I); and a look at one of them: fail() where it is something else by now. */
char *map_numbered(size_t nr);
void check_page(const char *mem, size_t i);
bool is_zero(const void *buf, size_t len); /* all of it, at least a byte */
int64_t now_ns(clockid_t clock);
void sleep_ms(long ms); /* all of it, also when interrupted */
/* Writes or reads all of LEN; dies on errors and early ends. */
void write_all(int fd, const void *buf, size_t len);
void read_all(int fd, void *buf, size_t len);
/* A file in the test's directory with LEN bytes of fill(SEED); gives a descriptor opened with FLAGS. */
int make_file(const char *name, size_t len, uint64_t seed, int flags);
/* The value after "KEY:" in /proc/self/FILE (status, smaps...) as text into BUF; false where there is none. */
bool proc_value(const char *file, const char *key, char *buf, size_t len);
/* The text of "VmFlags:" and such of the mapping that holds ADDR; false where there is none. */
bool smaps_value(const void *addr, const char *key, char *buf, size_t len);
/* Is the page at ADDR in memory (or swap) as far as /proc/self/pagemap says? */
bool page_present(const void *addr);

#endif
