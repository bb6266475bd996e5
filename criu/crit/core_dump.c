// SPDX-License-Identifier: GPL-2.0-only
/*
 * crit core-dump DIR OUT: a core file per task, for a debugger. Memory that the images hold is in it; what is in
 * mapped files is not, the debugger takes it from those (NT_FILE names them). Pages that were never written are holes.
 */
#include "core_dump.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "crit.h"
#include "memfd.pb-c.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

/* Reserved address space of sanitizers and the like: larger holes are not made part of the file. */
#define MAX_HOLE (64UL << 30)

struct segment {
	uint64_t start, end;
	uint32_t flags;
	bool bytes; /* is in the file */
	off_t off;  /* where */
};

struct core_file {
	const struct core_task *t;
	int fd;
	struct segment *segments;
	size_t nr, cap;
	uint64_t nr_missing; /* pages that stayed on the source */
};

/* ---- where the bytes of an area are ---- */

struct area_pages {
	struct pagemap *pm; /* NULL: the images hold nothing of it */
	uint64_t shift;	    /* address - shift is what the pagemap calls it */
	bool own;	    /* pm is to be closed */
};

struct find_memfd {
	uint32_t inode_id;
	uint64_t shmid;
	bool found;
};

static int match_memfd(const ProtobufCMessage *msg, void *arg)
{
	const MemfdInodeEntry *e = (const MemfdInodeEntry *)msg;
	struct find_memfd *m = arg;

	if (e->inode_id == m->inode_id) {
		m->shmid = e->shmid;
		m->found = true;
	}
	return 0;
}

/* The shared memory object that V maps; false: it maps a file on disk, or nothing. */
static bool shared_object(const struct core_task *t, const VmaEntry *v, uint64_t *shmid)
{
	const FileEntry *f = checkpoint_file(t->ck, v->shmid);
	struct find_memfd m = { 0 };

	*shmid = v->shmid;
	if (v->status & (VMA_STATUS_ANON_SHARED | VMA_STATUS_SYSVIPC))
		return true;
	if (!(v->status & VMA_STATUS_MEMFD) || !f || !f->memfd)
		return false;
	m.inode_id = f->memfd->inode_id;
	if (checkpoint_each(t->ck, IMG_MEMFD_INODE, 0, match_memfd, &m))
		return false;
	*shmid = m.shmid;
	return m.found;
}

static int find_pages(const struct core_task *t, const VmaEntry *v, struct area_pages *p)
{
	uint64_t shmid;

	*p = (struct area_pages){ .pm = t->pages };
	if (v->status & (VMA_STATUS_ANON_PRIVATE | VMA_STATUS_FILE_PRIVATE))
		return 0;
	p->pm = NULL;
	if (!shared_object(t, v, &shmid))
		return 0;
	if (v->pgoff % PAGE_SIZE || v->pgoff > UINT64_MAX - (v->end - v->start)) {
		pr_err("mm-%u.img: area 0x%" PRIx64 " maps a place that cannot be: 0x%" PRIx64,
		       t->task->pid, v->start, v->pgoff);
		return -1;
	}
	p->pm = pagemap_open(t->ck->dir, IMG_SHMEM_PAGEMAP, shmid);
	p->own = true;
	p->shift = v->start - v->pgoff;
	return p->pm || errno == ENOENT ? 0 : -1;
}

static void drop_pages(struct area_pages *p)
{
	if (p->own)
		pagemap_close(p->pm);
}

/* The stretch at ADDR, in addresses of the area. */
static void next_extent(const struct area_pages *p, uint64_t addr, uint64_t end,
			struct page_extent *ext)
{
	if (p->pm) {
		pagemap_extent(p->pm, addr - p->shift, end - p->shift, ext);
		ext->start = addr;
	} else {
		*ext = (struct page_extent){ .where = PAGES_HOLE,
					     .start = addr,
					     .nr_pages = (end - addr) / PAGE_SIZE,
					     .fd = -1 };
	}
}

size_t core_read_memory(const struct core_task *t, uint64_t addr, char *buf, size_t len)
{
	uint64_t page = round_down(addr, PAGE_SIZE);
	struct page_extent ext;
	ssize_t n;

	if (!t->pages || !len || page > UINT64_MAX - 2 * PAGE_SIZE)
		return 0;
	pagemap_extent(t->pages, page, page + PAGE_SIZE, &ext);
	if (ext.where != PAGES_FILE)
		return 0;
	n = pread_full(ext.fd, buf, min(len, (size_t)(page + PAGE_SIZE - addr)),
		       ext.off + (addr - page));
	return n < 0 ? 0 : n;
}

/* ---- segments ---- */

static int add_segment(struct core_file *c, uint64_t start, uint64_t end, uint32_t flags,
		       bool bytes)
{
	struct segment *s = c->nr ? &c->segments[c->nr - 1] : NULL;

	if (s && s->end == start && s->flags == flags && s->bytes == bytes) {
		s->end = end;
		return 0;
	}
	if (xgrow(&c->segments, &c->cap, c->nr, sizeof(*s)))
		return -1;
	c->segments[c->nr++] = (struct segment){ start, end, flags, bytes, 0 };
	return 0;
}

static int plan_area(struct core_file *c, const VmaEntry *v)
{
	/* what is not in the images of these is in the file, not zero */
	bool of_file = v->status & (VMA_STATUS_FILE_PRIVATE | VMA_STATUS_FILE_SHARED) &&
		       !(v->status & VMA_STATUS_MEMFD);
	bool never = v->status & (VMA_STATUS_VVAR | VMA_STATUS_VSYSCALL | VMA_STATUS_GUARD);
	uint32_t flags = (v->prot & PROT_READ ? PF_R : 0) | (v->prot & PROT_WRITE ? PF_W : 0) |
			 (v->prot & PROT_EXEC ? PF_X : 0);
	struct area_pages pages;
	struct page_extent ext;
	int ret = 0;

	if (find_pages(c->t, v, &pages))
		return -1;
	for (uint64_t at = v->start; !ret && at < v->end; at += ext.nr_pages * PAGE_SIZE) {
		bool bytes;

		next_extent(&pages, at, v->end, &ext);
		bytes = ext.where == PAGES_FILE;
		if (ext.where == PAGES_REMOTE)
			c->nr_missing += ext.nr_pages;
		if (ext.where == PAGES_HOLE && !of_file && !never && v->prot)
			bytes = ext.nr_pages <= MAX_HOLE / PAGE_SIZE;
		ret = add_segment(c, at, at + ext.nr_pages * PAGE_SIZE, flags, bytes);
	}
	drop_pages(&pages);
	return ret;
}

/* Places the segments one behind the other; the end of the file, or -1. */
static off_t place_segments(struct core_file *c, off_t off)
{
	for (size_t i = 0; i < c->nr; i++) {
		struct segment *s = &c->segments[i];

		s->off = off;
		if (s->bytes && __builtin_add_overflow(off, s->end - s->start, &off)) {
			pr_err("The core file of task %u would be larger than any file can be",
			       c->t->task->pid);
			return -1;
		}
	}
	return off;
}

/* ---- writing ---- */

static int write_failed(const struct core_file *c)
{
	pr_perror("Can't write the core file of task %u", c->t->task->pid);
	return -1;
}

static int write_headers(struct core_file *c, const struct core_notes *notes, off_t notes_off)
{
	/* more than fits into e_phnum: section 0 has the number (elf(5), PN_XNUM) */
	bool many = c->nr + 1 >= PN_XNUM;
	Elf64_Ehdr h = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
				      EV_CURRENT, ELFOSABI_NONE },
			 .e_type = ET_CORE,
			 .e_machine = EM_X86_64,
			 .e_version = EV_CURRENT,
			 .e_phoff = sizeof(h) + (many ? sizeof(Elf64_Shdr) : 0),
			 .e_ehsize = sizeof(h),
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = many ? PN_XNUM : c->nr + 1,
			 .e_shoff = many ? sizeof(h) : 0,
			 .e_shnum = many,
			 .e_shentsize = many ? sizeof(Elf64_Shdr) : 0 };
	Elf64_Shdr sh = { .sh_info = c->nr + 1, .sh_size = 1 };
	Elf64_Phdr n = { .p_type = PT_NOTE, .p_offset = notes_off, .p_filesz = notes->len };
	cleanup_free Elf64_Phdr *ph = xcalloc(c->nr + 1, sizeof(*ph));

	if (!ph)
		return -1;
	ph[0] = n;
	for (size_t i = 0; i < c->nr; i++) {
		const struct segment *s = &c->segments[i];

		ph[i + 1] = (Elf64_Phdr){ .p_type = PT_LOAD,
					  .p_flags = s->flags,
					  .p_offset = s->off,
					  .p_vaddr = s->start,
					  .p_memsz = s->end - s->start,
					  .p_filesz = s->bytes ? s->end - s->start : 0,
					  .p_align = PAGE_SIZE };
	}
	if (write_full(c->fd, &h, sizeof(h)) || (many && write_full(c->fd, &sh, sizeof(sh))) ||
	    write_full(c->fd, ph, (c->nr + 1) * sizeof(*ph)) ||
	    write_full(c->fd, notes->buf, notes->len))
		return write_failed(c);
	return 0;
}

/* Address to place in the file; addresses only grow. */
static int write_at(struct core_file *c, size_t *seg, const struct page_extent *ext)
{
	off_t off = ext->off;

	while (*seg < c->nr && c->segments[*seg].end <= ext->start)
		++*seg;
	if (lseek(c->fd, c->segments[*seg].off + (ext->start - c->segments[*seg].start), SEEK_SET) <
		    0 ||
	    copy_bytes(ext->fd, &off, c->fd, ext->nr_pages * PAGE_SIZE))
		return write_failed(c);
	return 0;
}

static int write_memory(struct core_file *c)
{
	size_t seg = 0;
	int ret = 0;

	for (size_t i = 0; !ret && i < c->t->mm->n_vmas; i++) {
		const VmaEntry *v = c->t->mm->vmas[i];
		struct area_pages pages;
		struct page_extent ext;

		if (find_pages(c->t, v, &pages))
			return -1;
		for (uint64_t at = v->start; !ret && at < v->end; at += ext.nr_pages * PAGE_SIZE) {
			next_extent(&pages, at, v->end, &ext);
			if (ext.where == PAGES_FILE)
				ret = write_at(c, &seg, &ext);
		}
		drop_pages(&pages);
	}
	return ret;
}

static int write_core(struct core_file *c)
{
	struct core_notes notes = { 0 };
	off_t notes_off, end;
	int ret = -1;

	for (size_t i = 0; i < c->t->mm->n_vmas; i++)
		if (plan_area(c, c->t->mm->vmas[i]))
			return -1;
	if (core_notes_build(c->t, &notes))
		goto out;
	notes_off = sizeof(Elf64_Ehdr) + (c->nr + 1 >= PN_XNUM ? sizeof(Elf64_Shdr) : 0) +
		    (c->nr + 1) * sizeof(Elf64_Phdr);
	end = place_segments(c, round_up(notes_off + (off_t)notes.len, (off_t)PAGE_SIZE));
	if (end < 0 || write_headers(c, &notes, notes_off) || write_memory(c))
		goto out;
	ret = ftruncate(c->fd, end) ? write_failed(c) : 0;
	if (c->nr_missing)
		pr_warn("The core file of task %u lacks %" PRIu64
			" pages that stayed on the source (a lazy dump)",
			c->t->task->pid, c->nr_missing);
out:
	free(notes.buf);
	return ret;
}

/* ---- tasks ---- */

static int load_threads(struct core_task *t)
{
	t->threads = xcalloc(t->task->n_threads ?: 1, sizeof(*t->threads));
	if (!t->threads)
		return -1;
	for (size_t i = 0; i < t->task->n_threads; i++) {
		const ThreadInfoX86 *info;

		t->threads[i] = checkpoint_core(t->ck, t->task->threads[i]);
		if (!t->threads[i])
			return -1;
		info = t->threads[i]->thread_info;
		if (!info) {
			pr_err("core-%u.img has no registers of x86-64: core files of other "
			       "processors are not made here",
			       t->task->threads[i]);
			return -1;
		}
		if (info->gpregs->has_mode && info->gpregs->mode == USER_X86_REGS_MODE__COMPAT) {
			pr_err("Task %u is a 32-bit one: core files of those are not made here",
			       t->task->pid);
			return -1;
		}
	}
	if (t->task->n_threads && t->threads[0]->tc)
		return 0;
	pr_err("core-%u.img does not describe a task", t->task->pid);
	return -1;
}

static int load_task(struct core_task *t)
{
	t->mm = checkpoint_mm(t->ck, t->task->pid);
	if (!t->mm || checkpoint_check_vmas(t->mm, t->task->pid) || load_threads(t))
		return -1;
	t->pages = pagemap_open(t->ck->dir, IMG_PAGEMAP, t->task->pid);
	return t->pages || errno == ENOENT ? 0 : -1;
}

static void drop_task(struct core_task *t)
{
	for (size_t i = 0; t->threads && i < t->task->n_threads; i++)
		if (t->threads[i])
			core_entry__free_unpacked(t->threads[i], NULL);
	free(t->threads);
	if (t->mm)
		mm_entry__free_unpacked(t->mm, NULL);
	pagemap_close(t->pages);
}

static int dump_task(const struct checkpoint *ck, const PstreeEntry *task, void *arg)
{
	int out = *(int *)arg; /* the directory */
	struct core_task t = { .ck = ck, .task = task };
	struct core_file c = { .t = &t, .fd = -1 };
	char name[32];
	int ret = -1;

	snprintf(name, sizeof(name), "core.%u", task->pid);
	if (load_task(&t))
		goto out;
	c.fd = openat(out, name, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (c.fd < 0)
		pr_perror("Can't create %s", name);
	else
		ret = write_core(&c);
	if (ret && c.fd >= 0)
		unlinkat(out, name, 0);
	if (!ret)
		printf("%s: %s, %zu thread%s\n", name, t.threads[0]->tc->comm, task->n_threads,
		       task->n_threads == 1 ? "" : "s");
out:
	free(c.segments);
	close_safe(&c.fd);
	drop_task(&t);
	return ret;
}

static int dump_all(struct checkpoint *ck, const char *path)
{
	cleanup_close int out = -1;

	if (mkdir(path, 0700) && errno != EEXIST) {
		pr_perror("Can't create the directory %s", path);
		return -1;
	}
	out = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (out < 0) {
		pr_perror("Can't open the directory %s", path);
		return -1;
	}
	return checkpoint_each_alive(ck, dump_task, &out);
}

int cmd_core_dump(int argc, char **argv)
{
	struct checkpoint ck;
	int ret;

	if (argc != 3) {
		fprintf(stderr, "usage: crit core-dump DIR OUT\n");
		return 1;
	}
	if (checkpoint_open(&ck, argv[1]))
		return 1;
	ret = dump_all(&ck, argv[2]);
	checkpoint_close(&ck);
	return ret ? 1 : 0;
}
