// SPDX-License-Identifier: GPL-2.0-only
#include "vdso.h"

#include <asm/unistd.h>
#include <elf.h>
#include <string.h>

#include "util/log.h"
#include "util/xmalloc.h"

static const struct {
	const char *name;
	uint32_t syscall; /* with the same arguments */
} functions[VDSO_FUNCTIONS] = {
	[VDSO_CLOCK_GETTIME] = { "__vdso_clock_gettime", __NR_clock_gettime },
	[VDSO_GETTIMEOFDAY] = { "__vdso_gettimeofday", __NR_gettimeofday },
	[VDSO_TIME] = { "__vdso_time", __NR_time },
	[VDSO_GETCPU] = { "__vdso_getcpu", __NR_getcpu },
	[VDSO_CLOCK_GETRES] = { "__vdso_clock_getres", __NR_clock_getres },
	[VDSO_GETRANDOM] = { "__vdso_getrandom", __NR_getrandom },
};

/* The parts of the image that lead to its symbols. */
struct elf {
	const char *image;
	size_t len;
	uint64_t vaddr; /* at which it was linked */
	const Elf64_Sym *symbols;
	size_t nr_symbols;
	const char *strings;
	size_t strings_len;
};

/* LEN bytes at OFFSET of the image, aligned to ALIGN; NULL where they are not inside. */
static const void *at(const struct elf *e, uint64_t offset, uint64_t len, unsigned align)
{
	if (offset > e->len || len > e->len - offset || ((uintptr_t)e->image + offset) % align)
		return NULL;
	return e->image + offset;
}
#define AT(e, offset, nr, type) \
	((const type *)at(e, offset, (uint64_t)(nr) * sizeof(type), _Alignof(type)))

static const Elf64_Phdr *find_segment(const struct elf *e, uint32_t type)
{
	const Elf64_Ehdr *h = AT(e, 0, 1, Elf64_Ehdr);
	const Elf64_Phdr *p;

	if (!h || memcmp(h->e_ident, ELFMAG, SELFMAG) || h->e_ident[EI_CLASS] != ELFCLASS64 ||
	    h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_type != ET_DYN ||
	    h->e_phentsize != sizeof(Elf64_Phdr))
		return NULL;
	p = AT(e, h->e_phoff, h->e_phnum, Elf64_Phdr);
	for (int i = 0; p && i < h->e_phnum; i++)
		if (p[i].p_type == type)
			return &p[i];
	return NULL;
}

/* DT_GNU_HASH knows its symbols by chains: the highest index, plus one. 0: damaged. */
static size_t count_gnu_hash(const struct elf *e, uint64_t offset)
{
	const uint32_t *h = AT(e, offset, 4, uint32_t), *buckets, *chain;
	uint64_t chains;
	uint32_t last = 0;

	if (!h)
		return 0;
	chains = offset + 16 + h[2] * 8UL + h[0] * 4UL;
	buckets = AT(e, offset + 16 + h[2] * 8UL, h[0], uint32_t);
	if (!buckets)
		return 0;
	for (uint32_t i = 0; i < h[0]; i++)
		last = max(last, buckets[i]);
	if (last < h[1])
		return 0;
	for (;; last++) {
		chain = AT(e, chains + (last - h[1]) * 4UL, 1, uint32_t);
		if (!chain)
			return 0;
		if (*chain & 1)
			return last + 1UL;
	}
}

static bool find_symbols(struct elf *e)
{
	const Elf64_Phdr *load = find_segment(e, PT_LOAD), *dyn = find_segment(e, PT_DYNAMIC);
	uint64_t strings = 0, symbols = 0, hash = 0, gnu_hash = 0;
	const Elf64_Dyn *d;
	const uint32_t *h;

	if (!load || !dyn)
		return false;
	e->vaddr = load->p_vaddr - load->p_offset;
	d = AT(e, dyn->p_offset, dyn->p_filesz / sizeof(*d), Elf64_Dyn);
	for (size_t i = 0; d && i < dyn->p_filesz / sizeof(*d) && d[i].d_tag != DT_NULL; i++)
		switch (d[i].d_tag) {
		case DT_STRTAB:
			strings = d[i].d_un.d_ptr - e->vaddr;
			break;
		case DT_STRSZ:
			e->strings_len = d[i].d_un.d_val;
			break;
		case DT_SYMTAB:
			symbols = d[i].d_un.d_ptr - e->vaddr;
			break;
		case DT_HASH:
			hash = d[i].d_un.d_ptr - e->vaddr;
			break;
		case DT_GNU_HASH:
			gnu_hash = d[i].d_un.d_ptr - e->vaddr;
			break;
		}
	if (hash) {
		h = AT(e, hash, 2, uint32_t);
		e->nr_symbols = h ? h[1] : 0;
	} else if (gnu_hash) {
		e->nr_symbols = count_gnu_hash(e, gnu_hash);
	}
	e->symbols = AT(e, symbols, e->nr_symbols, Elf64_Sym);
	e->strings = AT(e, strings, e->strings_len, char);
	return symbols && e->symbols && strings && e->strings && e->nr_symbols && e->strings_len &&
	       !e->strings[e->strings_len - 1];
}

/* Bytes from OFFSET to the next symbol behind it, or to the end. */
static uint32_t room_at(const struct elf *e, uint64_t offset)
{
	uint64_t end = e->len;

	for (size_t i = 0; i < e->nr_symbols; i++) {
		uint64_t other = e->symbols[i].st_value - e->vaddr;

		if (e->symbols[i].st_shndx != SHN_UNDEF && other > offset && other < end)
			end = other;
	}
	return end - offset;
}

int vdso_parse(const void *image, size_t len, struct vdso_symbols *out)
{
	struct elf e = { .image = image, .len = min(len, (size_t)1 << 20) };

	memset(out, 0, sizeof(*out));
	out->len = e.len;
	if (!find_symbols(&e)) {
		pr_err("A vDSO of %zu bytes is not understood", len);
		return -1;
	}
	for (size_t i = 0; i < e.nr_symbols; i++) {
		const Elf64_Sym *s = &e.symbols[i];
		uint64_t offset = s->st_value - e.vaddr;

		if (s->st_shndx == SHN_UNDEF || ELF64_ST_TYPE(s->st_info) != STT_FUNC ||
		    s->st_name >= e.strings_len || !offset || offset >= e.len)
			continue;
		for (int f = 0; f < VDSO_FUNCTIONS; f++)
			if (!strcmp(e.strings + s->st_name, functions[f].name)) {
				out->f[f].offset = offset;
				out->f[f].room = room_at(&e, offset);
			}
	}
	if (out->f[VDSO_CLOCK_GETTIME].offset)
		return 0;
	pr_err("A vDSO of %zu bytes has no %s", len, functions[VDSO_CLOCK_GETTIME].name);
	return -1;
}

bool vdso_same_entries(const struct vdso_symbols *a, const struct vdso_symbols *b)
{
	if (a->len != b->len)
		return false;
	for (int i = 0; i < VDSO_FUNCTIONS; i++)
		if (a->f[i].offset != b->f[i].offset)
			return false;
	return true;
}

/* jmp TO, near or through rax, which a function's begin has no use for */
static void jump(struct vdso_patch *p, uint64_t to)
{
	int64_t distance = to - (p->addr + 5);

	if (distance == (int32_t)distance) {
		int32_t near = distance;

		p->code[0] = 0xe9;
		memcpy(p->code + 1, &near, 4);
		p->len = 5;
		return;
	}
	p->code[0] = 0x48; /* mov $to, %rax */
	p->code[1] = 0xb8;
	memcpy(p->code + 2, &to, 8);
	p->code[10] = 0xff; /* jmp *%rax */
	p->code[11] = 0xe0;
	p->len = 12;
}

/* mov $nr, %eax; syscall; ret */
static void system_call(struct vdso_patch *p, uint32_t nr)
{
	p->code[0] = 0xb8;
	memcpy(p->code + 1, &nr, 4);
	memcpy(p->code + 5, "\x0f\x05\xc3", 3);
	p->len = 8;
}

int vdso_plan_jumps(const struct vdso_symbols *old, uint64_t old_base,
		    const struct vdso_symbols *new, uint64_t new_base,
		    struct vdso_patch patches[VDSO_FUNCTIONS])
{
	int nr = 0;

	for (int i = 0; i < VDSO_FUNCTIONS; i++) {
		struct vdso_patch *p = &patches[nr];

		if (!old->f[i].offset)
			continue;
		memset(p, 0, sizeof(*p));
		p->addr = old_base + old->f[i].offset;
		if (new->f[i].offset)
			jump(p, new_base + new->f[i].offset);
		else
			system_call(p, functions[i].syscall);
		if (p->len > old->f[i].room) {
			pr_err("The old vDSO's %s has %u bytes, too few for a jump to the new one",
			       functions[i].name, old->f[i].room);
			return -1;
		}
		nr++;
	}
	return nr;
}
