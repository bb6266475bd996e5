// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include <errno.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "remote/arena.h"
#include "remote/puppet.h"
#include "remote/trace.h"
#include "remote/syscall_name.h"
#include "util/log.h"

#define NOT_RUN (-ENOSYS)

void prog_reset(struct puppet *p)
{
	p->nr_calls = 0;
	p->data_used = 0;
}

bool prog_room(struct puppet *p, unsigned nr_calls, size_t len)
{
	return p->nr_calls + nr_calls <= PROG_MAX_CALLS &&
	       round_up(p->data_used, 16UL) + len <= PROG_DATA_SIZE;
}

int prog_add_(struct puppet *p, unsigned flags, long nr, unsigned nr_args, const struct rarg *args)
{
	struct rcall *c = &arena_calls(p->arena, p->slot)[p->nr_calls];

	if (p->nr_calls >= PROG_MAX_CALLS) {
		pr_err("A program of more than %u calls for task %d", PROG_MAX_CALLS, p->image_tid);
		abort();
	}
	memset(c, 0, sizeof(*c));
	c->nr = nr;
	c->flags = flags;
	c->ret = NOT_RUN;
	for (unsigned i = 0; i < nr_args; i++) {
		c->arg[i] = args[i].v;
		if (args[i].ref)
			c->refs |= 1 << i;
	}
	return p->nr_calls++;
}

uint64_t prog_data(struct puppet *p, size_t len, void *local)
{
	char *at;

	p->data_used = round_up(p->data_used, 16UL);
	if (p->data_used + len > PROG_DATA_SIZE) {
		pr_err("More than %d bytes of arguments for task %d", PROG_DATA_SIZE, p->image_tid);
		abort();
	}
	at = arena_data(p->arena, p->slot) + p->data_used;
	p->data_used += len;
	memset(at, 0, len);
	if (local)
		*(void **)local = at;
	return arena_remote(p->arena, at);
}

uint64_t prog_buf(struct puppet *p, const void *buf, size_t len)
{
	void *local;
	uint64_t at = prog_data(p, len, &local);

	memcpy(local, buf, len);
	return at;
}

uint64_t prog_str(struct puppet *p, const char *s)
{
	return prog_buf(p, s, strlen(s) + 1);
}

int64_t prog_ret(const struct puppet *p, int index)
{
	return arena_calls(p->arena, p->slot)[index].ret;
}

static void end_program(struct puppet *p)
{
	struct rcall *end = &arena_calls(p->arena, p->slot)[p->nr_calls];

	memset(end, 0, sizeof(*end));
	end->flags = RC_END;
}

int prog_run_clone(struct puppet *p, int *tid)
{
	end_program(p);
	return trace_cont(p->tid, p->image_tid) || trace_wait_clone(p->tid, p->image_tid, tid) ? -1
											       : 0;
}

int prog_start(struct puppet *p)
{
	end_program(p);
	return trace_cont(p->tid, p->image_tid);
}

/* Index of the RC_STOP call that failed, nr_calls where none did, -1 logged where the puppet is gone. */
static int wait_end(struct puppet *p)
{
	struct rcall *c = arena_calls(p->arena, p->slot);
	unsigned i;

	if (trace_wait_trap(p->tid, p->image_tid, &p->pending_stop))
		return -1;
	for (i = 0; i < p->nr_calls; i++)
		if ((c[i].flags & RC_STOP) && c[i].ret < 0 && c[i].ret >= -4095) {
			errno = -c[i].ret;
			break;
		}
	return i;
}

int prog_run_quiet(struct puppet *p)
{
	return prog_start(p) ? -1 : wait_end(p);
}

int prog_wait(struct puppet *p)
{
	const struct rcall *c;
	int i = wait_end(p);

	if (i < 0)
		return -1;
	if (i == (int)p->nr_calls)
		return 0;
	c = &arena_calls(p->arena, p->slot)[i];
	pr_perror("Task %d: %s(%#lx, %#lx, %#lx, %#lx, %#lx, %#lx)", p->image_tid,
		  syscall_name(c->nr), c->arg[0], c->arg[1], c->arg[2], c->arg[3], c->arg[4],
		  c->arg[5]);
	return -1;
}

int prog_run(struct puppet *p)
{
	return prog_start(p) ? -1 : prog_wait(p);
}

long puppet_call_(struct puppet *p, long nr, unsigned nr_args, const struct rarg *args)
{
	int i;

	/* data that the caller made with prog_data() stays */
	p->nr_calls = 0;
	i = prog_add_(p, 0, nr, nr_args, args);
	if (prog_run_quiet(p) < 0)
		return -EIO;
	return prog_ret(p, i);
}
