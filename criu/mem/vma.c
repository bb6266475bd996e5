// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "files/files.h"
#include "image/image.h"
#include "mem/guard.h"
#include "mem/mem.h"
#include "mem/vm_flags.h"
#include "proc/proc.h"
#include "remote/arena.h"
#include "remote/puppet.h"
#include "util/hash.h"
#include "util/io.h"
#include "util/log.h"

/* madvise(2) advices that VmFlags show */
static const struct {
	uint64_t vmf;
	unsigned advice;
} madvices[] = {
	{ VMF_SR, MADV_SEQUENTIAL }, { VMF_RR, MADV_RANDOM },	  { VMF_DC, MADV_DONTFORK },
	{ VMF_HG, MADV_HUGEPAGE },   { VMF_NH, MADV_NOHUGEPAGE }, { VMF_MG, MADV_MERGEABLE },
	{ VMF_DD, MADV_DONTDUMP },   { VMF_WF, MADV_WIPEONFORK },
};

static int refuse(const struct task *t, const struct proc_vma *v, const char *what)
{
	pr_err("Task %d: the memory at %#lx-%#lx (%s) is %s: not supported", t->pid, v->start,
	       v->end, *v->path ? v->path : "anonymous", what);
	return -1;
}

struct collect {
	struct task *t;
	size_t cap;
};

#define HUGETLB_ANONYMOUS "/anon_hugepage (deleted)"

static int classify(const struct task *t, const struct proc_vma *v, VmaEntry *e)
{
	bool deleted_zero = !strncmp(v->path, "/dev/zero (deleted)", 19);

	if (!strcmp(v->path, "[vsyscall]"))
		e->status = VMA_VSYSCALL | VMA_ANON_PRIVATE;
	else if (!strcmp(v->path, "[vdso]"))
		e->status = VMA_REGULAR | VMA_VDSO | VMA_ANON_PRIVATE;
	else if (!strncmp(v->path, "[vvar", 5))
		e->status = VMA_REGULAR | VMA_VVAR | VMA_ANON_PRIVATE;
	else if (!strcmp(v->path, "[uprobes]"))
		e->status = VMA_UPROBES | VMA_ANON_PRIVATE;
	else if (!strncmp(v->path, "/SYSV", 5) && v->shared)
		return refuse(t, v, "System V shared memory");
	else if (!strncmp(v->path, "/[aio]", 6) || !strcmp(v->path, "[aio]"))
		return refuse(t, v, "an AIO ring");
	else if (!strcmp(v->path, "/secretmem (deleted)"))
		return refuse(t, v, "secret memory (memfd_secret)");
	else if (!strncmp(v->path, "anon_inode:", 11))
		return refuse(t, v, "a mapping of a kernel object");
	else if (!strncmp(v->path, "socket:", 7))
		return refuse(t, v, "a packet socket's ring");
	else if (!strcmp(v->path, HUGETLB_ANONYMOUS) && !v->shared)
		e->status = VMA_REGULAR | VMA_ANON_PRIVATE;
	else if (*v->path == '/')
		e->status = VMA_REGULAR | (v->shared ? VMA_FILE_SHARED : VMA_FILE_PRIVATE);
	else if (!strcmp(v->path, "[heap]"))
		e->status = VMA_REGULAR | VMA_HEAP | VMA_ANON_PRIVATE;
	else if (v->shared)
		return refuse(t, v, "shared memory of an unknown kind");
	else
		e->status = VMA_REGULAR | VMA_ANON_PRIVATE;
	if ((e->status & VMA_FILE_SHARED || e->status & VMA_FILE_PRIVATE) &&
	    (deleted_zero || !strncmp(v->path, "/memfd:", 7) ||
	     !strcmp(v->path, HUGETLB_ANONYMOUS)))
		e->status |= VMA_MEMFD;
	return 0;
}

/* Anonymous memory of huge pages is a file to the kernel, and its blocks are as large as its pages. */
static int set_hugetlb(const struct task *t, const struct proc_vma *pv, VmaEntry *e)
{
	char path[64];
	struct stat st;

	if (strcmp(pv->path, HUGETLB_ANONYMOUS))
		return 0;
	snprintf(path, sizeof(path), "map_files/%lx-%lx", pv->start, pv->end);
	if (fstatat(t->proc, path, &st, 0)) {
		pr_perror("Can't look at /proc/%d/%s (hugetlb memory)", t->pid, path);
		return -1;
	}
	e->flags |= hugetlb_flags(st.st_blksize);
	return 0;
}

static int add_vma(const struct proc_vma *pv, void *arg)
{
	struct collect *c = arg;
	struct task *t = c->t;
	struct vma *v;

	if (xgrow(&t->vmas, &c->cap, t->nr_vmas, sizeof(*v)))
		return -1;
	v = &t->vmas[t->nr_vmas];
	*v = (struct vma){ 0 };
	vma_entry__init(&v->e);
	v->e.start = pv->start;
	v->e.end = pv->end;
	v->e.prot = pv->prot;
	v->e.fd = -1;
	if (classify(t, pv, &v->e))
		return -1;
	v->e.flags = pv->shared ? MAP_SHARED : MAP_PRIVATE;
	if (set_hugetlb(t, pv, &v->e))
		return -1;
	if (v->e.status & VMA_ANON_PRIVATE) {
		v->e.flags |= MAP_ANONYMOUS;
	} else {
		v->e.pgoff = pv->pgoff;
		v->e.has_fdflags = true;
		v->dev = (uint64_t)pv->dev_major << 32 | pv->dev_minor;
		v->ino = pv->ino;
	}
	/* the kernel shows the parts of the vvar area one by one; images have it as one */
	if (t->nr_vmas && (v->e.status & VMA_VVAR) && (v[-1].e.status & VMA_VVAR) &&
	    v[-1].e.end == v->e.start)
		v[-1].e.end = v->e.end;
	else
		t->nr_vmas++;
	return 0;
}

int vmas_collect(struct op *op, struct task *t)
{
	struct collect c = { t, 0 };

	return proc_read_maps(t->proc, "maps", add_vma, &c);
}

/* ---- VmFlags ---- */

/*
 * What maps does not tell. Where there is much memory it comes from a BPF iterator (vm_flags.h), if there can be one. Otherwise from smaps: the kernel
 * walks all page tables to write it (5 to 20 ms for 1 GiB), so a thread reads it while the tasks are described and scanned; mm_dump() waits for it.
 */
struct smaps {
	struct op *op;
	pthread_t thread;
	bool running;
	unsigned nr;
	struct {
		struct task *t;
		char *text;
		int err;
	} v[];
};

static void read_smaps_of(struct smaps *s, unsigned i)
{
	s->v[i].text = read_file_at(s->v[i].t->proc, "smaps", NULL);
	s->v[i].err = errno;
}

static void *read_smaps(void *arg)
{
	struct smaps *s = arg;

	for (unsigned i = 0; i < s->nr; i++)
		read_smaps_of(s, i);
	return NULL;
}

/*
 * criu is on the task's processor, and stays there: the thread takes another one. (Left to the scheduler it is put on the same one often enough, and then each of the two
 * waits for the other's time slices of some ms.)
 */
static int start_elsewhere(struct smaps *s)
{
	pthread_attr_t attr;
	cpu_set_t cpus;
	int ret;

	puppet_unfollow();
	pthread_attr_init(&attr);
	if (!sched_getaffinity(0, sizeof(cpus), &cpus) && CPU_COUNT(&cpus) > 1) {
		CPU_CLR(sched_getcpu(), &cpus);
		pthread_attr_setaffinity_np(&attr, sizeof(cpus), &cpus);
	}
	ret = pthread_create(&s->thread, &attr, read_smaps, s);
	pthread_attr_destroy(&attr);
	puppet_follow(leader(s->op->root)->puppet);
	return ret;
}

int vmas_start_flags(struct op *op)
{
	struct smaps *s = xzalloc(sizeof(*s) + op->nr_tasks * sizeof(s->v[0]));
	struct task *t;

	if (!s)
		return -1;
	s->op = op;
	op->smaps = s;
	for_each_live_task (t, op)
		s->v[s->nr++].t = t;
	if (op->vm_flags) /* quick enough not to be begun early */
		return 0;
	s->running = !start_elsewhere(s);
	if (!s->running)
		read_smaps(s);
	return 0;
}

void vmas_free_flags(struct op *op)
{
	struct smaps *s = op->smaps;

	vm_flags_free(op->vm_flags);
	op->vm_flags = NULL;
	if (!s)
		return;
	if (s->running)
		pthread_join(s->thread, NULL);
	for (unsigned i = 0; i < s->nr; i++)
		free(s->v[i].text);
	free(s);
	op->smaps = NULL;
}

static int check_flags(const struct task *t, const struct proc_vma *v, const VmaEntry *e)
{
	if (v->vm_flags & VMF_SS)
		return refuse(t, v, "a shadow stack");
	if (v->vm_flags & VMF_SL)
		return refuse(t, v, "sealed with mseal()");
	if (v->vm_flags & (VMF_PF | VMF_IO))
		return refuse(t, v, "device memory");
	/* its pages are nowhere but in this host's memory, and files are not ours to carry over */
	if ((v->vm_flags & VMF_HT) && !hugetlb(e->flags) && !(e->status & VMA_MEMFD))
		return refuse(t, v, "hugetlb memory of a file");
	/* write protection (VMF_UW) may be that of our own tracking, and changes no contents; the task's descriptor is met with its files */
	if (v->vm_flags & (VMF_UM | VMF_UI))
		return refuse(t, v, "registered with a userfaultfd of the task's own");
	return 0;
}

struct flags_walk {
	struct task *t;
	bool from_smaps; /* else what does not fit is a reason to read smaps, no more */
	size_t next;
};

static int set_flags(const struct task *t, struct vma *v, const struct proc_vma *pv)
{
	if (!vma_special(v) && check_flags(t, pv, &v->e))
		return -1;
	if (v->e.has_fdflags)
		v->e.fdflags = pv->shared && (pv->vm_flags & VMF_MW) ? O_RDWR : O_RDONLY;
	if (pv->vm_flags & VMF_GD)
		v->e.flags |= MAP_GROWSDOWN;
	if (pv->vm_flags & VMF_LO)
		v->e.flags |= MAP_LOCKED;
	if (pv->vm_flags & VMF_LF)
		v->e.has_locked_on_fault = v->e.locked_on_fault = true;
	if (pv->vm_flags & VMF_DP)
		v->e.flags = (v->e.flags & ~MAP_TYPE) | MAP_DROPPABLE;
	if (pv->vm_flags & VMF_NR)
		v->e.flags |= MAP_NORESERVE;
	for (size_t i = 0; i < ARRAY_SIZE(madvices); i++)
		if (pv->vm_flags & madvices[i].vmf) {
			v->e.has_madv = true;
			v->e.madv |= 1ULL << madvices[i].advice;
		}
	return 0;
}

/* A mapping is locked from its beginning only after mlockall(MCL_FUTURE), which the task cannot be asked about. */
static int warn_lock_future(const struct task *t, const struct proc_vma *pv, const struct arena *a)
{
	if (pv->start == a->base && (pv->vm_flags & VMF_LO))
		pr_warn("task %d: that its future memory is to be locked (mlockall(MCL_FUTURE)) is "
			"not saved",
			t->pid);
	return 0;
}

static int add_flags(const struct proc_vma *pv, void *arg)
{
	struct flags_walk *w = arg;
	struct vma *v = &w->t->vmas[w->next];
	const struct arena *a = leader(w->t)->puppet->arena;

	if (pv->start >= a->base && pv->end <= a->base + a->len)
		return warn_lock_future(w->t, pv, a); /* criu's own, mapped meanwhile */
	if (w->next && (v[-1].e.status & VMA_VVAR) && pv->start < v[-1].e.end)
		return 0; /* another part of the vvar area */
	if (w->next == w->t->nr_vmas || v->e.start != pv->start) {
		if (!w->from_smaps)
			return 1;
		pr_err("Task %d: its memory at %#lx changes although it is stopped", w->t->pid,
		       pv->start);
		return -1;
	}
	/* areas that differed only in that one was tracked have become one */
	do {
		if (set_flags(w->t, v++, pv))
			return -1;
		w->next++;
	} while (w->next < w->t->nr_vmas && v->e.start < pv->end);
	return 0;
}

static int finish_flags(struct smaps *s, unsigned i)
{
	struct task *t = s->v[i].t;
	struct flags_walk w = { t, true, 0 };

	if (s->op->vm_flags) {
		struct flags_walk quick = { t, false, 0 };
		int ret = vm_flags_read(s->op->vm_flags, t->pid, add_flags, &quick);

		/* it does not know the vsyscall page, which is the last one */
		if (quick.next < t->nr_vmas && (t->vmas[quick.next].e.status & VMA_VSYSCALL))
			quick.next++;
		if (ret < 0 || (!ret && quick.next == t->nr_vmas))
			return ret;
		read_smaps_of(s, i);
	}
	if (!s->v[i].text) {
		errno = s->v[i].err;
		pr_perror("Can't read /proc/%d/smaps", t->pid);
		return -1;
	}
	return proc_parse_smaps(s->v[i].text, add_flags, &w);
}

int vmas_finish_flags(struct op *op)
{
	struct smaps *s = op->smaps;

	if (s->running)
		pthread_join(s->thread, NULL);
	s->running = false;
	for (unsigned i = 0; i < s->nr; i++)
		if (finish_flags(s, i))
			return -1;
	return 0;
}

/* A file that several areas map is named once. */
struct mapped {
	struct {
		uint64_t dev, ino, flags;
	} key;
	uint32_t id;
	UT_hash_handle hh;
};

static int name_mapped_file(struct op *op, struct task *t, const char *path, unsigned flags,
			    uint32_t *id)
{
	cleanup_free char *link = readlink_at(t->proc, path);
	cleanup_close int lfd = -1;
	struct stat st;

	if (!link) {
		pr_perror("Can't read the link /proc/%d/%s", t->pid, path);
		return -1;
	}
	/* opening a device has effects: those are only looked at */
	if (fstatat(t->proc, path, &st, 0)) {
		pr_perror("Can't look at /proc/%d/%s (%s)", t->pid, path, link);
		return -1;
	}
	lfd = openat(t->proc, path,
		     S_ISREG(st.st_mode) ? O_RDONLY | O_CLOEXEC : O_PATH | O_CLOEXEC);
	if (lfd < 0) {
		pr_perror("Can't open /proc/%d/%s (%s)", t->pid, path, link);
		return -1;
	}
	return files_dump_mapped(op, t, lfd, link, flags, id);
}

static int name_vma_files(struct op *op, struct task *t)
{
	struct mapped *cache = NULL, *m, *tmp;
	int ret = 0;

	for (size_t i = 0; i < t->nr_vmas && !ret; i++) {
		struct vma *v = &t->vmas[i];
		char path[64];

		if (!(v->e.status & (VMA_FILE_PRIVATE | VMA_FILE_SHARED)))
			continue;
		m = xzalloc(sizeof(*m));
		if (!m) {
			ret = -1;
			break;
		}
		m->key.dev = v->dev;
		m->key.ino = v->ino;
		m->key.flags = v->e.fdflags;
		struct mapped *known;
		HASH_FIND(hh, cache, &m->key, sizeof(m->key), known);
		if (known) {
			free(m);
		} else {
			snprintf(path, sizeof(path), "map_files/%lx-%lx", v->e.start, v->e.end);
			ret = name_mapped_file(op, t, path, v->e.fdflags, &m->id);
			known = m;
			HASH_ADD(hh, cache, key, sizeof(m->key), m);
			if (!hash_added(m)) {
				free(m);
				ret = -1;
				break;
			}
		}
		v->file_id = known->id;
		v->e.shmid = known->id;
	}
	HASH_ITER (hh, cache, m, tmp) {
		HASH_DEL(cache, m);
		free(m);
	}
	return ret;
}

/* The auxiliary vector as the kernel has it (proc(5)), without its end. */
static int dump_auxv(struct task *t, MmEntry *mm)
{
	size_t len;
	cleanup_free char *text = read_file_at(t->proc, "auxv", &len);

	if (!text) {
		pr_perror("Can't read /proc/%d/auxv", t->pid);
		return -1;
	}
	mm->n_mm_saved_auxv = len / sizeof(uint64_t);
	mm->mm_saved_auxv = xmalloc(len);
	if (!mm->mm_saved_auxv)
		return -1;
	memcpy(mm->mm_saved_auxv, text, mm->n_mm_saved_auxv * sizeof(uint64_t));
	/* the pair that ends it is implied */
	while (mm->n_mm_saved_auxv >= 2 && !mm->mm_saved_auxv[mm->n_mm_saved_auxv - 2])
		mm->n_mm_saved_auxv -= 2;
	return 0;
}

static int dump_mm_fields(struct task *t, MmEntry *mm)
{
	struct puppet *p = leader(t)->puppet;
	struct proc_stat st;
	int brk, dumpable, thp;

	if (proc_read_stat(t->proc, "stat", &st))
		return -1;
	mm->mm_start_code = st.start_code;
	mm->mm_end_code = st.end_code;
	mm->mm_start_data = st.start_data;
	mm->mm_end_data = st.end_data;
	mm->mm_start_stack = st.start_stack;
	mm->mm_start_brk = st.start_brk;
	mm->mm_arg_start = st.arg_start;
	mm->mm_arg_end = st.arg_end;
	mm->mm_env_start = st.env_start;
	mm->mm_env_end = st.env_end;

	prog_reset(p);
	brk = prog_add(p, 0, __NR_brk, 0);
	dumpable = prog_add(p, 0, __NR_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0);
	thp = prog_add(p, 0, __NR_prctl, PR_GET_THP_DISABLE, 0, 0, 0, 0);
	if (prog_run(p))
		return -1;
	mm->mm_brk = prog_ret(p, brk);
	mm->has_dumpable = true;
	mm->dumpable = max(prog_ret(p, dumpable), (int64_t)0);
	mm->has_thp_disabled = true;
	mm->thp_disabled = prog_ret(p, thp) > 0;
	return 0;
}

int mm_describe(struct op *op, struct task *t)
{
	if (!PB_NEW(t->mm, mm_entry__init))
		return -1;
	return dump_auxv(t, t->mm) || dump_mm_fields(t, t->mm) ? -1 : 0;
}

int mm_dump(struct op *op, struct task *t)
{
	MmEntry *mm = t->mm, out;
	struct areas areas;
	int ret;

	/* the executable first, as in the files table of other checkpoints */
	if (name_mapped_file(op, t, "exe", O_RDONLY, &mm->exe_file_id) || name_vma_files(op, t))
		return -1;
	ret = areas_split(t, &areas);
	out = *mm;
	out.n_vmas = areas.nr;
	out.vmas = areas.v;
	if (!ret)
		ret = image_write_one(op->images, IMG_MM, t->vpid, &out.base);
	areas_free(&areas);
	return ret;
}
