// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include <bsd/sys/tree.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "image/image.h"
#include "task/pstree.h"
#include "util/log.h"

/*
 * kcmp(2) orders kernel objects: equal ones get the same id, found in a tree, so the cost is n log n.
 * Ids of each kind count from 2 (1 is criu's own in the inventory).
 */
struct obj {
	RB_ENTRY(obj) link;
	pid_t pid;
	uint32_t id;
};

static int kcmp_type; /* of the tree being searched */
static int kcmp_errno;

static int cmp(struct obj *a, struct obj *b)
{
	long ret = syscall(SYS_kcmp, a->pid, b->pid, kcmp_type, 0, 0);

	if (ret < 0)
		kcmp_errno = errno;
	return ret == 1 ? -1 : ret == 2 ? 1 : 0;
}
RB_HEAD(objs, obj);
RB_PROTOTYPE_INTERNAL(objs, obj, link, cmp, static __attribute__((unused)));
RB_GENERATE_INTERNAL(objs, obj, link, cmp, static __attribute__((unused)))

static int id_of(struct objs *objs, int type, pid_t pid, uint32_t *next, uint32_t *id)
{
	struct obj *o = xzalloc(sizeof(*o)), *same;

	if (!o)
		return -1;
	o->pid = pid;
	kcmp_type = type;
	kcmp_errno = 0;
	same = RB_INSERT(objs, objs, o);
	if (kcmp_errno) {
		errno = kcmp_errno;
		pr_perror("Can't compare the resources of task %d with others (kcmp)", pid);
		return -1;
	}
	if (same) {
		free(o);
		*id = same->id;
		return 0;
	}
	*id = o->id = ++*next;
	return 0;
}

static void free_objs(struct objs *objs)
{
	struct obj *o;

	while ((o = RB_MIN(objs, objs))) {
		RB_REMOVE(objs, objs, o);
		free(o);
	}
}

/* Namespaces: numbered by inode. */
static const struct {
	const char *name;
	size_t id, has;
} namespaces[] = {
#define NS(file, field)                                                 \
	{                                                               \
		file, offsetof(TaskKobjIdsEntry, field##_ns_id),        \
			offsetof(TaskKobjIdsEntry, has_##field##_ns_id) \
	}
	NS("pid", pid),	  NS("net", net), NS("ipc", ipc),   NS("uts", uts),
	NS("time", time), NS("mnt", mnt), NS("user", user), NS("cgroup", cgroup),
};
struct ns {
	ino_t ino;
	uint32_t id;
};
static struct ns *known_ns;
static size_t nr_ns, cap_ns;

/* Has the task the root directory that criu has? Then paths mean the same, also in a copy of the mount namespace (unshare -m). */
static bool same_root(struct task *t)
{
	struct stat ours, theirs;

	return !stat("/", &ours) && !fstatat(t->proc, "root", &theirs, 0) &&
	       ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

/*
 * Namespaces are not restored, but for time and for the pid namespace that the root is the init of. A task in one of
 * its own would find itself in criu's after a restore.
 */
static int check_ns(struct op *op, struct task *t, const char *name, ino_t ino)
{
	bool pid = !strcmp(name, "pid"), mnt = !strcmp(name, "mnt");
	struct stat st;
	char path[48];

	if (!strcmp(name, "time"))
		return 0;
	if (t != op->root && (pid || mnt))
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", op->root->pid, name);
	else
		snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	if (stat(path, &st)) {
		pr_perror("Can't look at %s", path);
		return -1;
	}
	if (st.st_ino == ino || (t == op->root && pid && t->vpid == 1) ||
	    (t == op->root && mnt && same_root(t)))
		return 0;
	pr_err("Task %d is in a %s namespace of its own: not supported (criu can be run in it: "
	       "nsenter -t %d)",
	       t->pid, name, t->pid);
	return -1;
}

static int ns_ids(struct op *op, struct task *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++) {
		struct stat st;
		char path[32];
		size_t k;

		snprintf(path, sizeof(path), "ns/%s", namespaces[i].name);
		if (fstatat(t->proc, path, &st, 0)) {
			if (errno == ENOENT) /* a kernel without this kind */
				continue;
			pr_perror("Can't look at /proc/%d/%s", t->pid, path);
			return -1;
		}
		if (check_ns(op, t, namespaces[i].name, st.st_ino))
			return -1;
		for (k = 0; k < nr_ns && known_ns[k].ino != st.st_ino; k++)
			;
		if (k == nr_ns) {
			if (xgrow(&known_ns, &cap_ns, nr_ns, sizeof(*known_ns)))
				return -1;
			known_ns[nr_ns] = (struct ns){ st.st_ino, nr_ns + 1 };
			nr_ns++;
		}
		*(uint32_t *)((char *)t->ids + namespaces[i].id) = known_ns[k].id;
		*(protobuf_c_boolean *)((char *)t->ids + namespaces[i].has) = true;
	}
	return 0;
}

/* What a thread has taken apart from the others (unshare(2), setns(2)) has no place in the images, which have it per process. */
static int refuse_apart(const struct task *t, const struct thread *th, const char *what)
{
	pr_err("Thread %d of task %d has %s of its own (unshare or setns in a thread): not "
	       "supported",
	       th->tid, t->pid, what);
	return -1;
}

/* Not "mnt": who has one of its own has a root and working directory of its own. */
static const char *const thread_ns[] = { "net", "ipc", "uts", "cgroup" };

static int check_thread(const struct task *t, const struct thread *th, const ino_t *main_ns)
{
	struct stat st;
	char path[64];

	if (syscall(SYS_kcmp, t->pid, th->tid, KCMP_FILES, 0, 0) > 0)
		return refuse_apart(t, th, "descriptors");
	if (syscall(SYS_kcmp, t->pid, th->tid, KCMP_FS, 0, 0) > 0)
		return refuse_apart(t, th, "a root, working directory and umask");
	for (size_t i = 0; i < ARRAY_SIZE(thread_ns); i++) {
		snprintf(path, sizeof(path), "task/%d/ns/%s", th->tid, thread_ns[i]);
		if (!fstatat(t->proc, path, &st, 0) && st.st_ino != main_ns[i])
			return refuse_apart(t, th, "a namespace");
	}
	return 0;
}

/* The namespace that children would be born into (unshare(CLONE_NEWPID)) is not the task's own. */
static int check_children_ns(const struct task *t)
{
	struct stat own, children;

	if (fstatat(t->proc, "ns/pid", &own, 0) ||
	    fstatat(t->proc, "ns/pid_for_children", &children, 0) || own.st_ino == children.st_ino)
		return 0;
	pr_err("Task %d has a pid namespace for its children that is not its own: not supported",
	       t->pid);
	return -1;
}

static int check_apart(struct task *t)
{
	ino_t main_ns[ARRAY_SIZE(thread_ns)] = { 0 };
	struct stat st;
	char path[16];

	for (size_t i = 0; i < ARRAY_SIZE(thread_ns); i++) {
		snprintf(path, sizeof(path), "ns/%s", thread_ns[i]);
		if (!fstatat(t->proc, path, &st, 0)) /* else a kernel without this kind */
			main_ns[i] = st.st_ino;
	}
	for_each_thread (th, t)
		if (th != leader(t) && check_thread(t, th, main_ns))
			return -1;
	return check_children_ns(t);
}

int ids_dump(struct op *op)
{
	struct objs vm = RB_INITIALIZER(&vm), files = RB_INITIALIZER(&files),
		    fs = RB_INITIALIZER(&fs), sighand = RB_INITIALIZER(&sighand);
	uint32_t n_vm = 1, n_files = 1, n_fs = 1, n_sighand = 1;
	struct task *t;
	int ret = 0;

	nr_ns = 0;
	for_each_live_task (t, op) {
		if (!PB_NEW(t->ids, task_kobj_ids_entry__init))
			return -1;
		ret = id_of(&vm, KCMP_VM, t->pid, &n_vm, &t->ids->vm_id) ||
		      id_of(&files, KCMP_FILES, t->pid, &n_files, &t->ids->files_id) ||
		      id_of(&fs, KCMP_FS, t->pid, &n_fs, &t->ids->fs_id) ||
		      id_of(&sighand, KCMP_SIGHAND, t->pid, &n_sighand, &t->ids->sighand_id) ||
		      ns_ids(op, t) || check_apart(t);
		if (ret)
			break;
	}
	free_objs(&vm);
	free_objs(&files);
	free_objs(&fs);
	free_objs(&sighand);
	if (ret)
		return -1;
	struct task *u;
	for_each_live_task (t, op)
		for_each_live_task (u, op)
			if (u != t && u->ids->vm_id == t->ids->vm_id) {
				pr_err("Tasks %d and %d share their memory (vfork or clone with "
				       "CLONE_VM): not supported",
				       t->pid, u->pid);
				return -1;
			}
	return 0;
}

int ids_write(struct op *op, struct task *t)
{
	return image_write_one(op->images, IMG_IDS, t->vpid, &t->ids->base);
}
