/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The lazy engine end to end, without dump and restore: this process plays the restored task. It registers memory of its own with userfaultfd,
 * hands it to a real lazy-pages over the socket, and looks at every page. The pages come from images here, from a page server
 * that reads images, from a stopped process ("frozen task") through lazy_serve_tasks(), or from a page server of the plain protocol.
 */
#ifndef TEST_UNIT_LAZY_WORLD_H
#define TEST_UNIT_LAZY_WORLD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum mode { LOCAL, IMAGES, FROZEN, PLAIN };
#define VPID 4321
#define BASE ((char *)0x200000000000)

struct world {
	enum mode mode;
	char path[64];
	size_t nr; /* pages */
	int dir, uffd, sock;
	pid_t daemon, server, frozen;
};
extern struct world w;

uint64_t mix(uint64_t x);

/* Every page exists and differs. Else of a hundred pages 10 were never there, 5 are there and full of zeros. */
extern bool plain_pages;
bool page_exists(size_t i);
uint64_t word_of(size_t i, size_t k);
void fill(char *at, size_t i);
/* Is the memory at AT what page I was? */
bool right(const char *at, size_t i);
bool zeros(const char *at);
/* Pages FROM to below TO are right where they belong. */
void assert_pages(size_t from, size_t to);
void assert_page(size_t i);

/* W: a directory, where the pages are, and options. */
void prepare(enum mode mode, size_t nr_pages);
/* Everything up to the moment at which a restored task runs. */
void begin(enum mode mode, size_t nr_pages);
/* From here on it does. */
void run(void);
/* The daemon and the server end well, and nothing is left. */
void end(void);
/* A test's teardown: after a failure nothing is left either. */
int clean_up(void **state);

/* For a task that is a process of its own: it is handed over, and runs. -1: it was not. */
int be_restored(void);

/* The parts of begin(). PRESENT: the pages are in the images. */
void write_images(bool present);
void map_memory(void);
pid_t spawn(int (*run)(void *), void *arg);
/* Until it says on a pipe, which its argument points at, that it is ready. */
pid_t spawn_ready(int (*run)(void *));
int run_server(void *arg);
int run_plain_server(void *arg);
int run_daemon(void *arg);
int nothing(void *arg);
int exit_status(pid_t pid);
extern int (*server_main)(void *); /* what begin() takes: run_server() */
extern atomic_bool *task_runs;	   /* in memory that the server shares */

enum mode mode_of(void **state);
extern enum mode modes[];
#define in_mode(f, m, name)                                    \
	{                                                      \
#f " (" name ")", f, NULL, clean_up, &modes[m] \
	}
#define each_mode(f)                                                                            \
	in_mode(f, LOCAL, "local"), in_mode(f, IMAGES, "images"), in_mode(f, FROZEN, "frozen"), \
		in_mode(f, PLAIN, "plain")

/* The daemon's children: the guard leads a session of its own, the worker does not. 0: there is none. */
pid_t child_of_daemon(bool guard);
void kill_now(pid_t pid);

/* To be called first. */
void lazy_world_init(void);

#endif
