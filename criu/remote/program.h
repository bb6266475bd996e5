/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Programs for puppets: see puppet.h. The layout of struct rcall is known to arch/ARCH/stub.S.
 */
#ifndef CRIU_REMOTE_PROGRAM_H
#define CRIU_REMOTE_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "remote/layout.h"

struct puppet;

#define RC_MAX_ARGS 6

/* flags of a call */
enum {
	RC_STOP =
		1, /* if it fails the program ends here, and prog_run() fails with the call named */
	RC_END = 4, /* no call: the program's end */
};

/* One call, as the stub reads it. 128 bytes. */
struct rcall {
	uint32_t nr;
	uint16_t flags;
	uint16_t refs; /* bit N: argument N is the index of an earlier call whose result is meant */
	uint64_t arg[RC_MAX_ARGS];
	int64_t ret;
	uint64_t pad[8];
};

/* An argument while a program is built. Plain integers and RESULT(i) both convert through RARG(). */
struct rarg {
	uint64_t v;
	bool ref;
};
#define RESULT(index) ((struct rarg){ (uint64_t)(index), true })
static inline struct rarg rarg_int(uint64_t v)
{
	return (struct rarg){ v, false };
}
static inline struct rarg rarg_same(struct rarg a)
{
	return a;
}
/* pointers are remote addresses: pass them as uint64_t (prog_str and prog_data return such) */
#define RARG(x) _Generic((x), struct rarg : rarg_same, default : rarg_int)(x)
#define RARGS_0()
#define RARGS_1(a)				    RARG(a),
#define RARGS_2(a, b)				    RARG(a), RARG(b),
#define RARGS_3(a, b, c)			    RARG(a), RARG(b), RARG(c),
#define RARGS_4(a, b, c, d)			    RARG(a), RARG(b), RARG(c), RARG(d),
#define RARGS_5(a, b, c, d, e)			    RARG(a), RARG(b), RARG(c), RARG(d), RARG(e),
#define RARGS_6(a, b, c, d, e, f)		    RARG(a), RARG(b), RARG(c), RARG(d), RARG(e), RARG(f),
#define RARGS_N(_0, _1, _2, _3, _4, _5, _6, n, ...) n
#define RARGS(...)                                                                               \
	RARGS_N(_, ##__VA_ARGS__, RARGS_6, RARGS_5, RARGS_4, RARGS_3, RARGS_2, RARGS_1, RARGS_0) \
	(__VA_ARGS__)

/* Forgets the program and the data of P. */
void prog_reset(struct puppet *p);
/* Appends a call; its index. A full program is run and reset by nobody: see prog_room(). Aborts on overflow (a bug). */
int prog_add_(struct puppet *p, unsigned flags, long nr, unsigned nr_args, const struct rarg *args);
#define prog_add(p, flags, nr, ...)                                                  \
	({                                                                           \
		const struct rarg __args[] = { RARGS(__VA_ARGS__) };                 \
		prog_add_(p, flags, nr, sizeof(__args) / sizeof(__args[0]), __args); \
	})
/* True where NR_CALLS more calls and LEN more bytes of data fit. */
bool prog_room(struct puppet *p, unsigned nr_calls, size_t len);
/* Room for LEN bytes (16-aligned, zeroed) in the scratch data area: its address in the task; *LOCAL is ours. */
uint64_t prog_data(struct puppet *p, size_t len, void *local);
/* The same with a copy of BUF, or of a string. */
uint64_t prog_buf(struct puppet *p, const void *buf, size_t len);
uint64_t prog_str(struct puppet *p, const char *s);
/* Runs the program. 0; -1: an RC_STOP call failed or the puppet is gone, logged. errno is the call's. */
int prog_run(struct puppet *p);
/* The same, but a failed RC_STOP call is not logged: its index is returned, or nr_calls where all ran, or -1 (logged) where the puppet is gone. */
int prog_run_quiet(struct puppet *p);
/* Runs a program that makes a child: *TID is the child's pid as criu sees it (0: the clone failed). -1 logged. */
int prog_run_clone(struct puppet *p, int *tid);
/* Starts the program and comes back at once. -1 logged. What follows is prog_wait(), or the task's end where that is what the program does. */
int prog_start(struct puppet *p);
/* Waits for the end of a started program; as prog_run(). Programs of several puppets may run at the same time. */
int prog_wait(struct puppet *p);
/* Result of call INDEX of the program that ran last. */
int64_t prog_ret(const struct puppet *p, int index);

/* limits of one scratch area */
#define PROG_MAX_CALLS 1024

#endif
