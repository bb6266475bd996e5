// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include "util/vma_iter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "util/io.h"
#include "util/log.h"

#define BTF_FILE "/sys/kernel/btf/vmlinux"
#define NO_TYPE	 0 /* void: never what is looked for */

/* ---- the kernel's types ---- */

struct btf {
	char *data;
	size_t size;
	const char *strings;
	const struct btf_type **types; /* by id */
	size_t nr, cap;
};

static const char *name_of(const struct btf *b, uint32_t off)
{
	return b->strings + off;
}

static size_t size_of(const struct btf_type *t)
{
	unsigned nr = BTF_INFO_VLEN(t->info);

	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
		return sizeof(*t) + sizeof(uint32_t);
	case BTF_KIND_ARRAY:
		return sizeof(*t) + sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return sizeof(*t) + nr * sizeof(struct btf_member);
	case BTF_KIND_ENUM:
	case BTF_KIND_FUNC_PROTO:
		return sizeof(*t) + nr * sizeof(struct btf_param);
	case BTF_KIND_ENUM64:
	case BTF_KIND_DATASEC:
		return sizeof(*t) + nr * sizeof(struct btf_var_secinfo);
	}
	return sizeof(*t);
}

static void btf_end(struct btf *b)
{
	if (b->data)
		munmap(b->data, b->size);
	free(b->types);
}

static int map_file(struct btf *b)
{
	cleanup_close int fd = open(BTF_FILE, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return -1;
	b->size = st.st_size;
	/* kernels before 6.16 cannot map it: then it is read */
	b->data = mmap(NULL, b->size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (b->data != MAP_FAILED)
		return 0;
	b->data = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (b->data == MAP_FAILED) {
		b->data = NULL;
		return -1;
	}
	return read_full(fd, b->data, b->size) == (ssize_t)b->size ? 0 : -1;
}

static int btf_load(struct btf *b)
{
	const struct btf_header *h;
	size_t at, end;

	if (map_file(b))
		return -1;
	h = (const struct btf_header *)b->data;
	if (b->size < sizeof(*h) || h->magic != BTF_MAGIC)
		return -1;
	at = h->hdr_len + h->type_off;
	end = at + h->type_len;
	if (end > b->size || h->hdr_len + h->str_off + (size_t)h->str_len > b->size)
		return -1;
	b->strings = b->data + h->hdr_len + h->str_off;
	for (b->nr = NO_TYPE + 1; at + sizeof(struct btf_type) <= end; b->nr++) {
		if (xgrow(&b->types, &b->cap, b->nr, sizeof(*b->types)))
			return -1;
		b->types[b->nr] = (const struct btf_type *)(b->data + at);
		at += size_of(b->types[b->nr]);
	}
	return 0;
}

static uint32_t find_type(const struct btf *b, unsigned kind, const char *name)
{
	for (size_t id = NO_TYPE + 1; id < b->nr; id++)
		if (BTF_INFO_KIND(b->types[id]->info) == kind &&
		    !strcmp(name_of(b, b->types[id]->name_off), name))
			return id;
	return NO_TYPE;
}

/* The offset of a member, also in unions and structures without a name; -1: there is none. */
static int find_member(const struct btf *b, uint32_t id, const char *name)
{
	const struct btf_type *t = b->types[id];
	const struct btf_member *m = (const struct btf_member *)(t + 1);
	unsigned kind = BTF_INFO_KIND(t->info);

	if (kind != BTF_KIND_STRUCT && kind != BTF_KIND_UNION)
		return -1;
	for (unsigned i = 0; i < BTF_INFO_VLEN(t->info); i++, m++) {
		int off = (BTF_INFO_KFLAG(t->info) ? BTF_MEMBER_BIT_OFFSET(m->offset) : m->offset) /
			  8,
		    inner;

		if (!strcmp(name_of(b, m->name_off), name))
			return off;
		if (*name_of(b, m->name_off) || m->type >= b->nr)
			continue;
		inner = find_member(b, m->type, name);
		if (inner >= 0)
			return off + inner;
	}
	return -1;
}

/* ---- the program ---- */

static int sys_bpf(int cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

#define LOAD(to, from, offset)                                                          \
	{                                                                               \
		.code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = (to), .src_reg = (from), \
		.off = (offset)                                                         \
	}
#define STORE(offset, from)                                                                   \
	{                                                                                     \
		.code = BPF_STX | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_10, .src_reg = (from), \
		.off = (offset)                                                               \
	}
#define COPY(to, from)                                                                  \
	{                                                                               \
		.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = (to), .src_reg = (from) \
	}
#define SET(to, value)                                                               \
	{                                                                            \
		.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = (to), .imm = (value) \
	}

/* struct bpf_iter__task_vma: pointers to the iterator's meta (whose first member is the seq_file), the task, the area */
enum { CTX_META = 0, CTX_VMA = 16, META_SEQ = 0 };

/* For each area: bpf_seq_write(its vma_raw). */
static int load_program(uint32_t func, int start, int end, int flags)
{
	const struct bpf_insn insns[] = {
		COPY(BPF_REG_6, BPF_REG_1),
		LOAD(BPF_REG_7, BPF_REG_6, CTX_VMA),
		/* the last call has none */
		{ .code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = BPF_REG_7, .off = 12 },
		LOAD(BPF_REG_1, BPF_REG_7, start),
		STORE(-24, BPF_REG_1),
		LOAD(BPF_REG_1, BPF_REG_7, end),
		STORE(-16, BPF_REG_1),
		LOAD(BPF_REG_1, BPF_REG_7, flags),
		STORE(-8, BPF_REG_1),
		LOAD(BPF_REG_1, BPF_REG_6, CTX_META),
		LOAD(BPF_REG_1, BPF_REG_1, META_SEQ),
		COPY(BPF_REG_2, BPF_REG_10),
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_2, .imm = -24 },
		SET(BPF_REG_3, sizeof(struct vma_raw)),
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_seq_write },
		SET(BPF_REG_0, 0),
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr a = {
		.prog_type = BPF_PROG_TYPE_TRACING,
		.insns = (uintptr_t)insns,
		.insn_cnt = ARRAY_SIZE(insns),
		.license = (uintptr_t) "GPL",
		.expected_attach_type = BPF_TRACE_ITER,
		.attach_btf_id = func,
	};

	return sys_bpf(BPF_PROG_LOAD, &a);
}

int vma_iter_open(void)
{
	struct btf b = { 0 };
	uint32_t func = NO_TYPE, vma = NO_TYPE;
	int start = -1, end = -1, flags = -1, fd = -1;

	if (!btf_load(&b)) {
		func = find_type(&b, BTF_KIND_FUNC, "bpf_iter_task_vma");
		vma = find_type(&b, BTF_KIND_STRUCT, "vm_area_struct");
	}
	if (vma) {
		start = find_member(&b, vma, "vm_start");
		end = find_member(&b, vma, "vm_end");
		flags = find_member(&b, vma, "vm_flags");
	}
	if (func && start >= 0 && end >= 0 && flags >= 0)
		fd = load_program(func, start, end, flags);
	if (fd < 0)
		pr_debug("No BPF iterator for areas: %s", strerror(errno));
	btf_end(&b);
	return fd;
}

/* ---- reading ---- */

static int open_for(int iter, pid_t pid)
{
	union bpf_iter_link_info info = { .task.tid = pid };
	union bpf_attr link = { .link_create = { .prog_fd = iter,
						 .attach_type = BPF_TRACE_ITER,
						 .iter_info = (uintptr_t)&info,
						 .iter_info_len = sizeof(info) } };
	cleanup_close int link_fd = sys_bpf(BPF_LINK_CREATE, &link);
	union bpf_attr create = { .iter_create = { .link_fd = link_fd } };

	return link_fd < 0 ? -1 : sys_bpf(BPF_ITER_CREATE, &create);
}

/*
 * The bytes of BUF that are in order. Where a task has so many areas that they are read in several pieces, 6.18 gives the last
 * piece again and again instead of the end.
 */
static size_t in_order(const char *buf, size_t from, size_t have)
{
	const struct vma_raw *v = (const struct vma_raw *)buf;
	size_t i = from / sizeof(*v);

	while ((i + 1) * sizeof(*v) <= have && (!i || v[i].start >= v[i - 1].end))
		i++;
	return i * sizeof(*v);
}

int vma_iter_read(int iter, pid_t pid, struct vma_raw **v, size_t *nr)
{
	cleanup_close int fd = open_for(iter, pid);
	cleanup_free char *buf = NULL;
	size_t have = 0, good = 0, cap = 0; /* bytes */
	ssize_t n;

	if (fd < 0)
		return -1;
	do {
		if (xgrow(&buf, &cap, have + BUFSIZ, 1)) {
			errno = ENOMEM;
			return -1;
		}
		n = read(fd, buf + have, cap - have);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -1;
		have += max(n, (ssize_t)0);
		good = in_order(buf, good, have);
	} while (n && have - good < sizeof(**v));
	*nr = good / sizeof(**v);
	*v = (struct vma_raw *)move_ptr(buf);
	return 0;
}
