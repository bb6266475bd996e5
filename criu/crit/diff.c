// SPDX-License-Identifier: GPL-2.0-only
/*
 * crit diff A B: what changed between two checkpoints of a tree. Messages are compared field by field by
 * their descriptors. Exit status as diff(1): 0 the same, 1 different, 2 trouble.
 */
#include "diff.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "crit.h"
#include "hints.h"
#include "util/log.h"
#include "util/xmalloc.h"

void differs(struct diff *d, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *c = text; *c; c++) /* names come from an image and go to a terminal */
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	if (d->pid)
		printf("task %u: ", d->pid);
	puts(text);
	d->nr++;
}

/* ---- messages ---- */

static void value_text(const ProtobufCFieldDescriptor *f, const struct field_hints *h,
		       const ProtobufCMessage *msg, char *text, size_t size)
{
	const char *p = (const char *)msg + f->offset;
	uint64_t v = field_u64(msg, f->name);
	const ProtobufCEnumValue *e;

	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		snprintf(text, size, "\"%s\"", *(char *const *)p);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		snprintf(text, size, "%zu bytes", ((const ProtobufCBinaryData *)p)->len);
		break;
	case PROTOBUF_C_TYPE_ENUM:
		e = protobuf_c_enum_descriptor_get_value(f->descriptor, v);
		snprintf(text, size, "%s", e ? e->name : "?");
		break;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
		snprintf(text, size, "%" PRId64, (int64_t)v);
		break;
	default:
		if (h && h->flags)
			flags_to_text(h->flags, v, text, size);
		else
			snprintf(text, size, h && h->hex ? "0x%" PRIx64 : "%" PRIu64, v);
	}
}

static bool present(const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *f)
{
	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)((const char *)msg + f->quantifier_offset);
	if (f->label == PROTOBUF_C_LABEL_REQUIRED)
		return true;
	if (f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE)
		return *(void *const *)((const char *)msg + f->offset) &&
		       *(void *const *)((const char *)msg + f->offset) != f->default_value;
	return *(const protobuf_c_boolean *)((const char *)msg + f->quantifier_offset);
}

/* Equal in their packed form. */
static bool same_message(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
	size_t len = protobuf_c_message_get_packed_size(a);
	cleanup_free uint8_t *pa = NULL, *pb = NULL;

	if (len != protobuf_c_message_get_packed_size(b))
		return false;
	pa = xmalloc(len + 1);
	pb = xmalloc(len + 1);
	if (!pa || !pb)
		return false;
	protobuf_c_message_pack(a, pa);
	protobuf_c_message_pack(b, pb);
	return !memcmp(pa, pb, len);
}

/* One field of A as a message of its own would pack it: the others blanked out. */
static bool same_field(const ProtobufCMessage *a, const ProtobufCMessage *b,
		       const ProtobufCFieldDescriptor *f)
{
	ProtobufCFieldDescriptor one = *f;
	ProtobufCMessageDescriptor desc = *a->descriptor;
	cleanup_free ProtobufCMessage *ca = xmalloc(desc.sizeof_message);
	cleanup_free ProtobufCMessage *cb = xmalloc(desc.sizeof_message);

	if (!ca || !cb)
		return false;
	desc.n_fields = 1;
	desc.fields = &one;
	memcpy(ca, a, desc.sizeof_message);
	memcpy(cb, b, desc.sizeof_message);
	ca->descriptor = cb->descriptor = &desc;
	ca->n_unknown_fields = cb->n_unknown_fields = 0;
	return same_message(ca, cb);
}

static bool is_skipped(const char *path, const char *const *skip)
{
	for (; skip && *skip; skip++)
		if (!strcmp(path, *skip))
			return true;
	return false;
}

/* Every difference of A and B, named by its path ("tc.comm"). SKIP: paths that do not matter; ends with NULL. */
static void diff_messages(struct diff *d, const ProtobufCMessage *a, const ProtobufCMessage *b,
			  const char *what, const char *at, const char *const *skip)
{
	const struct field_hints *hints = hints_of(a->descriptor);

	for (unsigned i = 0; i < a->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &a->descriptor->fields[i];
		const struct field_hints *h = hints ? &hints[i] : NULL;
		char path[256], from[256], to[256];

		snprintf(path, sizeof(path), "%s%s%s", at, *at ? "." : "", f->name);
		if (is_skipped(path, skip) || (!present(a, f) && !present(b, f)))
			continue;
		if (!present(a, f) || !present(b, f)) {
			differs(d, "%s%s: %s", what, path, present(a, f) ? "gone" : "new");
			continue;
		}
		if (f->label != PROTOBUF_C_LABEL_REPEATED && f->type == PROTOBUF_C_TYPE_MESSAGE) {
			diff_messages(d, *(ProtobufCMessage *const *)((const char *)a + f->offset),
				      *(ProtobufCMessage *const *)((const char *)b + f->offset),
				      what, path, skip);
			continue;
		}
		if (same_field(a, b, f))
			continue;
		if (f->label == PROTOBUF_C_LABEL_REPEATED) {
			differs(d, "%s%s: changed", what, path);
			continue;
		}
		value_text(f, h, a, from, sizeof(from));
		value_text(f, h, b, to, sizeof(to));
		differs(d, "%s%s: %s -> %s", what, path, from, to);
	}
}

/* ---- tasks ---- */

/* Registers change always: one line for all of a thread. */
static void diff_registers(struct diff *d, uint32_t tid, const CoreEntry *a, const CoreEntry *b)
{
	const UserX86RegsEntry *ra = a->thread_info ? a->thread_info->gpregs : NULL;
	const UserX86RegsEntry *rb = b->thread_info ? b->thread_info->gpregs : NULL;

	if (!ra || !rb)
		return;
	if (!same_message(&ra->base, &rb->base))
		differs(d,
			"thread %u: registers: ip 0x%" PRIx64 " -> 0x%" PRIx64 ", sp 0x%" PRIx64
			" -> 0x%" PRIx64,
			tid, ra->ip, rb->ip, ra->sp, rb->sp);
	else if (!same_message(&a->thread_info->fpregs->base, &b->thread_info->fpregs->base))
		differs(d, "thread %u: only FPU registers", tid);
}

static int diff_core(struct diff *d, uint32_t tid)
{
	static const char *const skip[] = { "thread_info.gpregs", "thread_info.fpregs", "ids",
					    "tc.cg_set",	  "thread_core.cg_set", NULL };
	CoreEntry *a = checkpoint_core(&d->a, tid), *b = checkpoint_core(&d->b, tid);
	char what[32] = "";

	if (tid != d->pid)
		snprintf(what, sizeof(what), "thread %u: ", tid);
	if (a && b) {
		diff_registers(d, tid, a, b);
		diff_messages(d, &a->base, &b->base, what, "", skip);
	}
	if (a)
		core_entry__free_unpacked(a, NULL);
	if (b)
		core_entry__free_unpacked(b, NULL);
	return a && b ? 0 : -1;
}

static bool has_thread(const PstreeEntry *t, uint32_t tid)
{
	for (size_t i = 0; i < t->n_threads; i++)
		if (t->threads[i] == tid)
			return true;
	return false;
}

static int diff_threads(struct diff *d, const PstreeEntry *a, const PstreeEntry *b)
{
	for (size_t i = 0; i < a->n_threads; i++) {
		if (!has_thread(b, a->threads[i]))
			differs(d, "thread %u: gone", a->threads[i]);
		else if (a->threads[i] && a->threads[i] != a->pid && diff_core(d, a->threads[i]))
			return -1;
	}
	for (size_t i = 0; i < b->n_threads; i++)
		if (!has_thread(a, b->threads[i]))
			differs(d, "thread %u: new", b->threads[i]);
	return 0;
}

/* ---- descriptors ---- */

struct fd_list {
	FdinfoEntry **v;
	size_t nr, cap;
};

static int read_fds(const struct checkpoint *ck, uint32_t pid, struct fd_list *l)
{
	TaskKobjIdsEntry *ids = NULL;
	int ret = checkpoint_ids(ck, pid, &ids);
	struct image *img;

	if (ret <= 0)
		return ret;
	img = image_open(ck->dir, IMG_FDINFO, ids->files_id, false);
	task_kobj_ids_entry__free_unpacked(ids, NULL);
	if (!img)
		return errno == ENOENT ? 0 : -1;
	do {
		ret = xgrow(&l->v, &l->cap, l->nr, sizeof(*l->v))
			      ? -1
			      : image_read_as(img, &l->v[l->nr]);
		l->nr += ret > 0;
	} while (ret > 0);
	image_close(img);
	return ret;
}

static void free_fds(struct fd_list *l)
{
	for (size_t i = 0; i < l->nr; i++)
		fdinfo_entry__free_unpacked(l->v[i], NULL);
	free(l->v);
}

static const FdinfoEntry *find_fd(const struct fd_list *l, uint32_t fd)
{
	for (size_t i = 0; i < l->nr; i++)
		if (l->v[i]->fd == fd)
			return l->v[i];
	return NULL;
}

static void say_fd(struct diff *d, const struct checkpoint *ck, const FdinfoEntry *e,
		   const char *what)
{
	const FileEntry *f = checkpoint_file(ck, e->id);
	cleanup_free char *text = f ? file_describe(f) : NULL;

	differs(d, "descriptor %u: %s: %s", e->fd, what, text ?: "?");
}

/* Ids are of one dump; inode numbers of pipes and sockets change where they were restored in between. */
static void diff_fd(struct diff *d, const FdinfoEntry *a, const FdinfoEntry *b)
{
	static const char *const skip[] = { "id",	"reg.id",	"isk.id",   "nsf.id",
					    "psk.id",	"nlsk.id",	"efd.id",   "epfd.id",
					    "sgfd.id",	"tunf.id",	"tfd.id",   "ify.id",
					    "ffy.id",	"ext.id",	"usk.id",   "fifo.id",
					    "pipe.id",	"tty.id",	"memfd.id", "bpf.id",
					    "pidfd.id", "fifo.regf_id", NULL };
	const FileEntry *fa = checkpoint_file(&d->a, a->id), *fb = checkpoint_file(&d->b, b->id);
	char what[32];

	if (!fa || !fb)
		return;
	snprintf(what, sizeof(what), "descriptor %u: ", a->fd);
	if (fa->type != fb->type) {
		say_fd(d, &d->a, a, "was");
		say_fd(d, &d->b, b, "is");
		return;
	}
	if (a->flags != b->flags)
		differs(d, "%sflags: 0x%x -> 0x%x", what, a->flags, b->flags);
	diff_messages(d, &fa->base, &fb->base, what, "", skip);
}

static int diff_fds(struct diff *d)
{
	struct fd_list a = { 0 }, b = { 0 };
	int ret = read_fds(&d->a, d->pid, &a) || read_fds(&d->b, d->pid, &b) ? -1 : 0;

	for (size_t i = 0; !ret && i < a.nr; i++) {
		const FdinfoEntry *e = find_fd(&b, a.v[i]->fd);

		if (e)
			diff_fd(d, a.v[i], e);
		else
			say_fd(d, &d->a, a.v[i], "gone");
	}
	for (size_t i = 0; !ret && i < b.nr; i++)
		if (!find_fd(&a, b.v[i]->fd))
			say_fd(d, &d->b, b.v[i], "new");
	free_fds(&a);
	free_fds(&b);
	return ret;
}

static void diff_dir(struct diff *d, const char *what, uint32_t id_a, uint32_t id_b)
{
	const FileEntry *fa = checkpoint_file(&d->a, id_a), *fb = checkpoint_file(&d->b, id_b);

	if (fa && fb && fa->reg && fb->reg && strcmp(fa->reg->name, fb->reg->name))
		differs(d, "%s: \"%s\" -> \"%s\"", what, fa->reg->name, fb->reg->name);
}

static int diff_fs(struct diff *d)
{
	FsEntry *a = checkpoint_fs(&d->a, d->pid), *b = checkpoint_fs(&d->b, d->pid);

	if (a && b) {
		diff_dir(d, "working directory", a->cwd_id, b->cwd_id);
		diff_dir(d, "root", a->root_id, b->root_id);
		if (a->umask != b->umask)
			differs(d, "umask: 0%o -> 0%o", a->umask, b->umask);
	}
	if (a)
		fs_entry__free_unpacked(a, NULL);
	if (b)
		fs_entry__free_unpacked(b, NULL);
	return a && b ? 0 : -1;
}

/* ---- the whole ---- */

/* 1: alive in both, 0: not, -1: logged. */
static int both_alive(struct diff *d)
{
	CoreEntry *a = checkpoint_core(&d->a, d->pid), *b = checkpoint_core(&d->b, d->pid);
	int ret = a && b ? checkpoint_is_alive(a) && checkpoint_is_alive(b) : -1;

	if (a)
		core_entry__free_unpacked(a, NULL);
	if (b)
		core_entry__free_unpacked(b, NULL);
	return ret;
}

static int diff_task(struct diff *d, const PstreeEntry *a, const PstreeEntry *b)
{
	static const char *const skip[] = { "threads", NULL };
	int ret;

	d->pid = a->pid;
	diff_messages(d, &a->base, &b->base, "", "", skip);
	if (diff_core(d, a->pid))
		return -1;
	ret = both_alive(d);
	if (ret > 0)
		ret = diff_threads(d, a, b) || diff_fs(d) || diff_fds(d) || diff_memory(d) ? -1 : 0;
	d->pid = 0;
	return ret;
}

static int diff_trees(struct diff *d)
{
	for (size_t i = 0; i < d->a.nr_tasks; i++) {
		const PstreeEntry *a = d->a.tasks[i];
		const PstreeEntry *b = checkpoint_task(&d->b, a->pid);

		if (!b)
			differs(d, "task %u: gone", a->pid);
		else if (diff_task(d, a, b))
			return -1;
	}
	for (size_t i = 0; i < d->b.nr_tasks; i++)
		if (!checkpoint_task(&d->a, d->b.tasks[i]->pid))
			differs(d, "task %u: new", d->b.tasks[i]->pid);
	return 0;
}

int cmd_diff(int argc, char **argv)
{
	struct diff d = { .a.dir = -1, .b.dir = -1 };
	int ret;

	if (argc != 3) {
		fprintf(stderr, "usage: crit diff A B\n");
		return 2;
	}
	ret = checkpoint_open(&d.a, argv[1]) || checkpoint_open(&d.b, argv[2]) ||
			      checkpoint_load_files(&d.a) || checkpoint_load_files(&d.b) ||
			      diff_trees(&d)
		      ? 2
		      : d.nr != 0;
	checkpoint_close(&d.a);
	checkpoint_close(&d.b);
	if (fflush(stdout)) {
		pr_perror("Can't write the output");
		ret = 2;
	}
	return ret;
}
