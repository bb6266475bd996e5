// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files that have a path: regular files, directories, symbolic links (O_PATH), memory devices (null, zero, random...).
 * Saved are the path, position and flags, and size, mode and build id, by which restore knows that it found the same file.
 * Also the entries of mapped files, executables, working directories and roots. Image: reg_file_entry.
 */
#include <elf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "files/kinds.h"
#include "util/io.h"
#include "util/log.h"

#define MEM_MAJOR	  1
#define BUILD_ID_MAX_SIZE 64

static bool chr_is_plain(dev_t rdev)
{
	/* null, zero, full, random, urandom; not mem, kmem, port, kmsg: these mean something else elsewhere */
	return major(rdev) == MEM_MAJOR &&
	       (minor(rdev) == 3 || minor(rdev) == 5 || minor(rdev) == 7 || minor(rdev) == 8 ||
		minor(rdev) == 9);
}

/* Files of the kernel's own file systems, whose links look like paths: they are not what one reads from them. */
static bool is_no_file(const struct fd_probe *p)
{
	return S_ISREG(p->st.st_mode) &&
	       (p->fs.f_type == MQUEUE_MAGIC || p->fs.f_type == SECRETMEM_MAGIC);
}

static bool reg_recognise(const struct fd_probe *p)
{
	bool path_only = p->fd >= 0 && (p->flags & O_PATH);

	if (p->link[0] != '/' || is_no_file(p))
		return false;
	switch (p->st.st_mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
		return true;
	case S_IFCHR:
		return chr_is_plain(p->st.st_rdev) || path_only;
	default:
		return path_only;
	}
}

/* The build id note among NOTES; copied into WORDS of E. */
static void find_build_id(const char *notes, size_t len, RegFileEntry *e)
{
	while (len >= sizeof(Elf64_Nhdr)) {
		const Elf64_Nhdr *n = (const Elf64_Nhdr *)notes;
		size_t name = ((size_t)n->n_namesz + 3) & ~3UL,
		       desc = ((size_t)n->n_descsz + 3) & ~3UL;
		size_t total = sizeof(*n) + name + desc;

		if (total > len)
			return;
		if (n->n_type == NT_GNU_BUILD_ID && n->n_namesz == 4 && n->n_descsz &&
		    n->n_descsz <= BUILD_ID_MAX_SIZE && !memcmp(notes + sizeof(*n), "GNU", 4)) {
			e->build_id = xzalloc(desc);
			if (!e->build_id)
				return;
			memcpy(e->build_id, notes + sizeof(*n) + name, n->n_descsz);
			e->n_build_id = desc / 4;
			return;
		}
		notes += total;
		len -= total;
	}
}

/* Reads the build id of an ELF file into E; leaves it alone where there is none. */
static void read_build_id(int fd, RegFileEntry *e)
{
	char notes[4096];
	Elf64_Ehdr eh;
	Elf64_Phdr ph;

	if (pread_full(fd, &eh, sizeof(eh), 0) != sizeof(eh) ||
	    memcmp(eh.e_ident, ELFMAG, SELFMAG) || eh.e_ident[EI_CLASS] != ELFCLASS64)
		return;
	for (unsigned i = 0; i < eh.e_phnum && !e->n_build_id; i++) {
		ssize_t n;

		if (pread_full(fd, &ph, sizeof(ph), eh.e_phoff + i * (off_t)eh.e_phentsize) !=
		    sizeof(ph))
			return;
		if (ph.p_type != PT_NOTE)
			continue;
		n = pread_full(fd, notes, min(sizeof(notes), (size_t)ph.p_filesz), ph.p_offset);
		if (n > 0)
			find_build_id(notes, n, e);
	}
}

/* P->LFD may be write-only or a bare path. */
static void probe_build_id(const struct fd_probe *p, RegFileEntry *e)
{
	cleanup_close int fd = -1;

	if (!(p->st.st_mode & 0111) || p->st.st_size < (off_t)sizeof(Elf64_Ehdr))
		return;
	fd = reopen_fd(p->lfd, O_RDONLY | O_NONBLOCK);
	if (fd >= 0)
		read_build_id(fd, e);
}

/* Where the file has its name: 1; where it has none, or another file is there: 0, and OTHER says which. PATH loses " (deleted)". */
static int name_leads_to(struct op *op, const struct fd_probe *p, char *path, bool *other)
{
	static const char mark[] = " (deleted)";
	size_t len = strlen(path), n = sizeof(mark) - 1;
	struct stat st;

	*other = false;
	if (!file_path_at(op, p->task, path, &st)) {
		if (st.st_dev == p->st.st_dev && st.st_ino == p->st.st_ino)
			return 1;
		*other = true;
	}
	if (len > n && !strcmp(path + len - n, mark)) {
		path[len - n] = 0;
		*other = false;
		if (!file_path_at(op, p->task, path, &st))
			*other = true;
	}
	return 0;
}

int reg_dump_entry(struct op *op, const struct fd_probe *p, struct file *f)
{
	RegFileEntry *e = f->entry->reg = NEW_MSG(RegFileEntry, reg_file_entry);
	bool other;

	if (!e || !(e->fown = fown_dump(p)) || !(e->name = xstrdup(p->link)))
		return -1;
	e->id = f->id;
	e->flags = p->flags;
	e->pos = p->pos;
	e->has_mode = true;
	e->mode = p->st.st_mode;
	if (S_ISREG(p->st.st_mode)) {
		e->has_size = true;
		e->size = p->st.st_size;
		probe_build_id(p, e);
	}
	if (p->fs.f_type ==
	    PROC_SUPER_MAGIC) /* sizes are unknown there, and names come and go with tasks */
		e->has_size = false;
	if (name_leads_to(op, p, e->name, &other))
		return 0;
	return ghost_dump(op, p, f, other);
}

static int reg_dump(struct op *op, const struct fd_probe *p, struct file *f)
{
	return reg_dump_entry(op, p, f);
}

/* ---- restore ---- */

static int check_build_id(const RegFileEntry *e)
{
	RegFileEntry now = REG_FILE_ENTRY__INIT;
	cleanup_close int fd = open(e->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	cleanup_free uint32_t *words = NULL;

	if (fd < 0) {
		pr_perror("Can't open %s to check its build id", e->name);
		return -1;
	}
	read_build_id(fd, &now);
	words = now.build_id;
	if (now.n_build_id == e->n_build_id &&
	    !memcmp(words, e->build_id, e->n_build_id * sizeof(*words)))
		return 0;
	pr_err("File %s is another build than at dump (its build id differs)", e->name);
	return -1;
}

/* Is what has the name now what was dumped? */
static int check_same(const RegFileEntry *e, const struct stat *st)
{
	if (e->has_mode && (e->mode & S_IFMT) != (st->st_mode & S_IFMT)) {
		pr_err("File %s is of another type than at dump (mode 0%o instead of 0%o)", e->name,
		       st->st_mode, e->mode);
		return -1;
	}
	if (e->has_size && S_ISREG(st->st_mode) && e->size != (uint64_t)st->st_size) {
		pr_err("File %s has size %lu instead of %lu", e->name, (uint64_t)st->st_size,
		       e->size);
		return -1;
	}
	if (e->has_mode && !opts.skip_file_rwx_check && (e->mode & 0777) != (st->st_mode & 0777)) {
		pr_err("File %s has permissions 0%o instead of 0%o (--skip-file-rwx-check allows "
		       "that)",
		       e->name, st->st_mode & 0777, e->mode & 0777);
		return -1;
	}
	return e->n_build_id && opts.file_validation_buildid ? check_build_id(e) : 0;
}

static bool in_proc(const char *path)
{
	return !strncmp(path, "/proc/", 6);
}

/* Terminals' names are numbers that change; their entries are for tty_open.c. */
static bool is_pts(const RegFileEntry *e)
{
	return e->has_mode && S_ISCHR(e->mode) && !strncmp(e->name, "/dev/pts/", 9);
}

static int reg_collect(struct op *op)
{
	struct stat st;

	if (ghost_collect(op))
		return -1;
	for (size_t i = 0; i < op->files->nr; i++) {
		struct file *f = op->files->v[i];
		RegFileEntry *e = f->entry->reg;

		if (e && in_proc(e->name) && e->name[6] >= '0' && e->name[6] <= '9')
			f->when = OPEN_WITH_TASKS; /* it may be a task's of the tree */
		if (!e || ghost_is(op, f->id) || file_is_given(op, f) || in_proc(e->name) ||
		    is_pts(e))
			continue;
		if (lstat(e->name, &st)) {
			pr_perror("Can't find file %s", e->name);
			return -1;
		}
		if (check_same(e, &st))
			return -1;
	}
	return 0;
}

int reg_open_entry(struct op *op, struct file *f, int flags)
{
	RegFileEntry *e = f->entry->reg;
	int fd, base;

	flags &= ~(O_CREAT | O_EXCL | O_TRUNC | O_TMPFILE | O_ASYNC | O_CLOEXEC);
	flags |= O_NOCTTY;
	if (e->has_mode && S_ISDIR(e->mode))
		flags |= O_DIRECTORY;
	if (ghost_is(op, f->id)) {
		if (ghost_open(op, f, &base))
			return -1;
		fd = reopen_fd(base, flags & ~O_NOFOLLOW);
	} else {
		if (e->has_mode && S_ISLNK(e->mode))
			flags |= O_NOFOLLOW;
		fd = file_open_path(op, e->name, flags, 0);
	}
	if (fd < 0)
		pr_perror("Can't open file %s with flags 0%o", e->name, flags);
	return fd;
}

static int reg_open(struct op *op, struct file *f)
{
	RegFileEntry *e = f->entry->reg;

	f->fd = reg_open_entry(op, f, e->flags);
	if (f->fd < 0)
		return -1;
	if (e->pos && !(e->flags & O_PATH) && lseek(f->fd, e->pos, SEEK_SET) != (off_t)e->pos) {
		pr_perror("Can't set the position of %s to %lu", e->name, e->pos);
		return -1;
	}
	return 0;
}

static int reg_open_mapped(struct op *op, struct file *f, unsigned open_flags)
{
	return reg_open_entry(op, f, open_flags);
}

static void reg_free(struct op *op)
{
	ghosts_free(op);
}

const struct file_kind reg_kind = {
	.name = "file",
	.type = FD_TYPES__REG,
	.recognise = reg_recognise,
	.dump = reg_dump,
	.dump_all = ghosts_dump_all,
	.collect = reg_collect,
	.open = reg_open,
	.open_mapped = reg_open_mapped,
	.finish = fown_finish,
	.free = reg_free,
};
