// SPDX-License-Identifier: GPL-2.0-only
/*
 * The story of restore. Everything is read and checked before anything is made; a failure leaves no task behind.
 */
#include "util/xmalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "files/files.h"
#include "image/image.h"
#include "inventory.h"
#include "lazy/deadman.h"
#include "lazy/handover.h"
#include "mem/dedup.h"
#include "mem/mem.h"
#include "mem/vdso_map.h"
#include "proc/proc.h"
#include "regs.h"
#include "remote/arena.h"
#include "remote/clone.h"
#include "remote/fdpass.h"
#include "remote/freeze.h"
#include "remote/hold.h"
#include "remote/trace.h"
#include "stats.h"
#include "stories.h"
#include "task/core.h"
#include "task/foreground.h"
#include "task/make.h"
#include "task/pstree.h"
#include "util/action.h"
#include "util/dirs.h"
#include "util/io.h"
#include "util/log.h"

static int transport[2] = { -1, -1 }; /* [0]: criu's end; [1]: inherited by all puppets */
static int lazy_sock = -1;

static int step_read(struct op *op)
{
	struct task *t;

	if (inventory_check(op) || pstree_read(op))
		return -1;
	for_each_task (t, op) {
		if (core_read(op, t))
			return -1;
		if (!task_alive(t))
			continue;
		if (image_read_one(op->images, IMG_IDS, t->vpid, (ProtobufCMessage **)&t->ids) ||
		    mm_collect(op, t))
			return -1;
	}
	return files_collect(op) || pstree_plan(op) ? -1 : 0;
}

static void undo_read(struct op *op)
{
	mm_close_files(op);
	files_cleanup(op);
}

/* Before anything is made: is there a lazy-pages daemon at all? */
static int step_lazy(struct op *op)
{
	if (!opts.lazy_pages)
		return 0;
	lazy_sock = lazy_connect(op);
	return lazy_sock < 0 ? -1 : 0;
}

static void undo_lazy(struct op *op)
{
	close_safe(&lazy_sock);
}

static int step_open(struct op *op)
{
	struct task *t;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, transport)) {
		pr_perror("Can't make a pair of sockets");
		return -1;
	}
	for_each_live_task (t, op)
		if (mm_open_files(op, t))
			return -1;
	return files_open(op);
}

static int step_tree(struct op *op)
{
	unsigned nr = tree_nr_slots(op);
	uint64_t start = now_us(), hole = mm_find_hole(op, arena_len(nr) + PAGE_SIZE + vdso_room());
	int ret;

	if (!hole)
		return -1;
	op->vdso_hole = hole + arena_len(nr) + PAGE_SIZE;
	op->arena = arena_create(hole, nr);
	if (!op->arena || timens_restore(op))
		return -1;
	ret = tree_make(op) || tree_set_groups(op) ? -1 : 0;
	op->stats.forking_us = now_us() - start;
	return ret;
}

static void undo_tree(struct op *op)
{
	tree_kill(op);
}

static int step_memory(struct op *op)
{
	struct task *t;

	for_each_live_task (t, op)
		if (mm_finish(op, t) || lazy_register(op, t) || mm_describe_to_kernel(op, t))
			return -1;
	return 0;
}

/* A table that holds nothing but the transport, at a number that the task does not use. */
static int clear_table(struct op *op, struct task *t, int *slot)
{
	struct puppet *p = leader(t)->puppet;

	*slot = files_free_slot(op, t);
	if (*slot < 0)
		return -1;
	prog_reset(p);
	if (*slot != transport[1])
		prog_add(p, RC_STOP, __NR_dup3, transport[1], *slot, O_CLOEXEC);
	if (*slot)
		prog_add(p, RC_STOP, __NR_close_range, 0, *slot - 1, 0);
	prog_add(p, RC_STOP, __NR_close_range, *slot + 1, ~0U, 0);
	return prog_run(p);
}

static bool shares_table(struct op *op, struct task *t)
{
	struct task *u;

	for_each_live_task (u, op) {
		if (u == t)
			return false;
		if (u->ids->files_id == t->ids->files_id)
			return true;
	}
	return false;
}

static int step_files(struct op *op)
{
	struct task *t;
	int slot;

	for_each_live_task (t, op) {
		if (!shares_table(op, t) &&
		    (clear_table(op, t, &slot) || files_install(op, t, transport[0], slot)))
			return -1;
		if (files_restore_fs(op, t))
			return -1;
	}
	return 0;
}

static int step_threads(struct op *op)
{
	return tree_make_threads(op);
}

static int step_core(struct op *op)
{
	struct task *t;

	for_each_live_task (t, op)
		if (core_restore(op, t))
			return -1;
	return tree_bury_zombies(op);
}

static int step_hand_over(struct op *op)
{
	struct task *t;

	if (!opts.lazy_pages)
		return 0;
	for_each_task (t, op) {
		if (t->state == TASK_HELPER)
			continue;
		if (t->state == TASK_DEAD ? lazy_send_dead(lazy_sock, t->vpid)
					  : lazy_hand_over(op, t, lazy_sock))
			return -1;
	}
	return 0;
}

/* Between the source's word that it has given the tasks up and their first instruction here criu's death must not be theirs. */
static bool is_held(const struct task *t)
{
	return opts.lazy_pages && (t->state != TASK_STOPPED || opts.leave_stopped);
}

/* The daemon has everything, and agrees that the tasks run from now on. */
static int step_commit(struct op *op)
{
	struct task *t;

	if (!opts.lazy_pages)
		return 0;
	for_each_live_task (t, op)
		for_each_thread (th, t)
			if (is_held(t) && hold_alone(th->tid, th->vtid))
				return -1;
	return lazy_finish(lazy_sock);
}

static int hold_threads(struct task *t)
{
	for_each_thread (th, t)
		if (hold_begin(t->pid, th->tid))
			return -1;
	for_each_thread (th, t)
		if (hold_wait(th->tid, th->vtid))
			return -1;
	return 0;
}

/* Registers of every thread; the stub is gone. From here the task only has to be let go. */
static int load_registers(struct op *op, struct task *t)
{
	struct arena *a = op->arena;
	uint64_t ip = puppet_find_syscall(t->pid);
	long ret;

	if (!ip || core_restore_trap(op, t, ip))
		return -1;
	ret = trace_syscall(t->pid, t->vpid, ip, __NR_munmap, (uint64_t[6]){ a->base, a->len });
	if (ret) {
		errno = -ret;
		pr_perror("Can't unmap criu's memory from task %d", t->vpid);
		return -1;
	}
	if (is_held(t) && hold_threads(t))
		return -1;
	for_each_thread (th, t)
		if (core_restore_fpu_and_mask(op, th) || arch_restore_regs(th->tid, th->core))
			return -1;
	return 0;
}

static void detach(struct task *t)
{
	for_each_thread (th, t) {
		if (ptrace(PTRACE_DETACH, th->tid, 0, 0))
			pr_warn("Can't detach from task %d: %s", th->vtid, strerror(errno));
		puppet_forget(th->puppet);
		th->puppet = NULL;
	}
}

/* A task in a job control stop is put into it while its parent can still be kept from noticing. */
static int stop_now(struct task *t)
{
	struct proc_stat st = { 0 };
	char path[64];

	if (kill(t->pid, t->stop_signo)) {
		pr_perror("Can't stop task %d", t->vpid);
		return -1;
	}
	detach(t);
	snprintf(path, sizeof(path), "/proc/%d/stat", t->pid);
	for (int i = 0; i < 10000 && st.state != 'T'; i++) {
		if (proc_read_stat(AT_FDCWD, path, &st))
			return -1;
		if (st.state != 'T')
			usleep(100);
	}
	return t->parent ? tree_hide_stop(t->parent, t->vpid) : 0;
}

/*
 * Timers, pending signals, credentials, seccomp, registers: after this a task can do no more for us. Children before parents, see
 * stop_now().
 */
static int step_late(struct op *op)
{
	struct task *t;

	TAILQ_FOREACH_REVERSE(t, &op->tasks, task_list, link)
	{
		if (!task_alive(t))
			continue;
		if (core_restore_late(op, t))
			return -1;
		if (t->mm->has_dumpable && (t->mm->dumpable == 0 || t->mm->dumpable == 1))
			puppet_call(leader(t)->puppet, __NR_prctl, PR_SET_DUMPABLE, t->mm->dumpable,
				    0, 0, 0);
		if (load_registers(op, t) ||
		    (t->state == TASK_STOPPED && !opts.leave_stopped && stop_now(t)))
			return -1;
	}
	puppet_unfollow();
	return 0;
}

static bool pidfile_written;

static int step_pidfile(struct op *op)
{
	if (write_pidfile(op->root->pid))
		return -1;
	pidfile_written = true;
	return 0;
}

static void undo_pidfile(struct op *op)
{
	if (opts.pidfile && pidfile_written)
		unlinkat(op->work, opts.pidfile, 0);
}

static int step_pre_restore_action(struct op *op)
{
	return action_run("pre-restore", 0);
}

static int step_post_restore_action(struct op *op)
{
	return action_run("post-restore", op->root->pid) || action_run("pre-resume", op->root->pid)
		       ? -1
		       : 0;
}

static const struct step restore_steps[] = {
	{ "read", step_read, undo_read },
	{ "lazy", step_lazy, undo_lazy },
	{ "open", step_open, NULL },
	{ "pre-restore-action", step_pre_restore_action, NULL },
	{ "tree", step_tree, undo_tree },
	{ "mm", step_memory, NULL },
	{ "descriptors", step_files, NULL },
	{ "threads", step_threads, NULL },
	{ "core", step_core, NULL },
	{ "hand-over", step_hand_over, NULL },
	{ "late", step_late, NULL },
	{ "pidfile", step_pidfile, undo_pidfile },
	{ "post-restore-action", step_post_restore_action, NULL },
	{ "commit", step_commit, NULL }, /* the last: from here on nothing may fail */
};

/* Everybody is let go at once. Nothing can fail any more that would leave a task half made. */
static void let_go(struct op *op)
{
	struct task *t;

	for_each_live_task (t, op) {
		if (!leader(t)->puppet)
			continue;
		if (opts.leave_stopped)
			kill(t->pid, SIGSTOP);
		else if (is_held(t) && core_has_pending(t, SIGCONT))
			kill(t->pid, SIGCONT); /* to be held has taken it off the queue */
		detach(t);
		fault_kill("let-go");
	}
}

/* A daemon that is killed altogether must not mean zeros. */
static void guard_tasks(struct op *op)
{
	cleanup_free int *fds = NULL;
	unsigned nr = 0;

	if (deadman_make(op, &fds, &nr))
		pr_warn("If all of lazy-pages is killed the tasks will not be stopped");
	if (fds)
		deadman_send(lazy_sock, fds, nr);
}

/* Without --restore-detached criu is the parent that waits for the end of the root task. */
static int wait_root(pid_t pid)
{
	int status = foreground_wait(pid);

	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int cmd_restore(pid_t *root_pid)
{
	struct op op = { .name = "restore",
			 .images = dirs.images,
			 .work = dirs.work,
			 .tasks = TAILQ_HEAD_INITIALIZER(op.tasks) };
	uint64_t start = now_us();
	pid_t pid;

	if (files_init(&op) || steps_run(&op, restore_steps, ARRAY_SIZE(restore_steps))) {
		signals_release();
		arena_free(op.arena);
		tasks_free(&op);
		return 1;
	}
	op.stats.restore_us = now_us() - start;
	pid = op.root->pid;
	files_resume_network(&op);
	foreground_give(pid);
	let_go(&op);
	if (lazy_is_ours()) {
		guard_tasks(&op);
		lazy_released(lazy_sock);
	}
	if (action_run("post-resume", pid))
		pr_warn("The tasks run, but the action script failed at post-resume");
	close_safe(&lazy_sock);
	mm_close_files(&op);
	files_cleanup(&op);
	seccomp_free(&op);
	arena_free(op.arena);
	tasks_free(&op);
	if (stats_write(&op))
		pr_warn("The tasks are restored, but the statistics could not be written");
	/* lazy-pages still reads the images */
	if (opts.auto_dedup && !opts.lazy_pages && dedup_all(dirs.images))
		pr_warn("The tasks are restored, but their pages stay in the images");
	pr_info("Restore finished successfully. Tasks resumed.");
	if (root_pid)
		*root_pid = pid;
	signals_release();
	return opts.restore_detach ? 0 : wait_root(pid);
}
