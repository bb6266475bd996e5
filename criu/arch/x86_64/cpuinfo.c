// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUID as cpuinfo_x86_entry. capability[] is ordered as the kernel orders its feature words
 * (Documentation/arch/x86/cpuinfo.rst); words that the kernel makes up itself stay 0.
 */
#include "cpuinfo.h"

#include <cpuid.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "util/log.h"
#include "util/xmalloc.h"

#define NR_WORDS    20
#define CAP_VERSION 2 /* 20 words */

struct leaf {
	unsigned word, leaf, subleaf;
	int reg; /* 0..3: eax, ebx, ecx, edx */
};
static const struct leaf leaves[] = {
	{ 0, 1, 0, 3 },	 { 1, 0x80000001, 0, 3 }, { 4, 1, 0, 2 },  { 6, 0x80000001, 0, 2 },
	{ 9, 7, 0, 1 },	 { 10, 0xd, 1, 0 },	  { 12, 7, 1, 0 }, { 13, 0x80000008, 0, 1 },
	{ 16, 7, 0, 2 }, { 18, 7, 0, 3 },
};

/* Bits that decide about floating point and vector state, and names for what is often missing. */
static const struct named_bit {
	unsigned word, bit;
	bool fpu;
	const char *name;
} named[] = {
	{ 0, 0, true, "fpu" },	      { 0, 23, true, "mmx" },	  { 0, 24, true, "fxsr" },
	{ 0, 25, true, "sse" },	      { 0, 26, true, "sse2" },	  { 4, 0, true, "pni" },
	{ 4, 9, true, "ssse3" },      { 4, 12, true, "fma" },	  { 4, 19, true, "sse4_1" },
	{ 4, 20, true, "sse4_2" },    { 4, 26, true, "xsave" },	  { 4, 28, true, "avx" },
	{ 9, 5, true, "avx2" },	      { 9, 16, true, "avx512f" }, { 10, 0, true, "xsaveopt" },
	{ 10, 1, true, "xsavec" },    { 4, 22, false, "movbe" },  { 4, 23, false, "popcnt" },
	{ 4, 25, false, "aes" },      { 4, 30, false, "rdrand" }, { 9, 3, false, "bmi1" },
	{ 9, 8, false, "bmi2" },      { 9, 18, false, "rdseed" }, { 9, 29, false, "sha_ni" },
	{ 18, 22, true, "amx_bf16" },
};

/* Bits that say how the machine is set up or virtualised, not what a program may use: OSXSAVE, APIC, HYPERVISOR, PCID, VMX, MTRR… */
static uint32_t irrelevant(unsigned word)
{
	if (word == 0)
		return 1U << 9 | 1U << 12 | 1U << 7 | 1U << 14 | 1U << 21 | 1U << 22 | 1U << 29;
	if (word == 4)
		return 1U << 31 | 1U << 5 | 1U << 6 | 1U << 3 | 1U << 17 | 1U << 21 | 1U << 24 |
		       1U << 2 | 1U << 14 | 1U << 15 | 1U << 7 | 1U << 8;
	return 0;
}

static void read_leaves(CpuinfoX86Entry *x)
{
	unsigned r[4];

	for (unsigned i = 0; i < ARRAY_SIZE(leaves); i++)
		if (__get_cpuid_count(leaves[i].leaf, leaves[i].subleaf, &r[0], &r[1], &r[2],
				      &r[3]))
			x->capability[leaves[i].word] = r[leaves[i].reg];
}

static void read_model(CpuinfoX86Entry *x)
{
	unsigned a, b, c, d, name[13] = { 0 };

	__cpuid(0, a, b, c, d);
	x->vendor_id = b == signature_INTEL_ebx ? CPUINFO_X86_ENTRY__VENDOR__INTEL
		       : b == signature_AMD_ebx ? CPUINFO_X86_ENTRY__VENDOR__AMD
						: CPUINFO_X86_ENTRY__VENDOR__UNKNOWN;
	__cpuid(1, a, b, c, d);
	x->stepping = a & 15;
	x->model = a >> 4 & 15;
	x->cpu_family = a >> 8 & 15;
	if (x->cpu_family == 15)
		x->cpu_family += a >> 20 & 255;
	if (x->cpu_family >= 6)
		x->model += (a >> 16 & 15) << 4;
	if (__get_cpuid_max(0x80000000, NULL) >= 0x80000004)
		for (unsigned i = 0; i < 3; i++)
			__cpuid(0x80000002 + i, name[4 * i], name[4 * i + 1], name[4 * i + 2],
				name[4 * i + 3]);
	x->model_id = xstrdup((char *)name);
}

static void read_xsave(CpuinfoX86Entry *x)
{
	unsigned a, b, c, d;

	if (!(x->capability[4] & 1U << 26) || !__get_cpuid_count(0xd, 0, &a, &b, &c, &d))
		return;
	x->has_xfeatures_mask = x->has_xsave_size = x->has_xsave_size_max = true;
	x->xfeatures_mask = (uint64_t)d << 32 | a;
	x->xsave_size = b;
	x->xsave_size_max = c;
}

CpuinfoEntry *cpuinfo_here(void)
{
	CpuinfoX86Entry *x;
	CpuinfoEntry *e;

	if (!PB_NEW(e, cpuinfo_entry__init))
		return NULL;
	e->x86_entry = xcalloc(1, sizeof(*e->x86_entry));
	if (!e->x86_entry || !PB_NEW(x, cpuinfo_x86_entry__init))
		goto err;
	e->x86_entry[e->n_x86_entry++] = x;
	x->capability = xcalloc(NR_WORDS, sizeof(*x->capability));
	if (!x->capability)
		goto err;
	x->capability_ver = CAP_VERSION;
	x->n_capability = NR_WORDS;
	read_leaves(x);
	read_model(x);
	read_xsave(x);
	return e;
err:
	cpuinfo_entry__free_unpacked(e, NULL);
	return NULL;
}

static uint32_t fpu_bits(unsigned word)
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(named); i++)
		if (named[i].fpu && named[i].word == word)
			bits |= 1U << named[i].bit;
	return bits;
}

/* Names of the BITS of a feature word. */
static char *bit_names(unsigned word, uint32_t bits)
{
	char *all = xstrdup("");

	for (unsigned bit = 0; all && bit < 32; bit++) {
		char number[32];
		const char *name = number;
		char *more;

		if (!(bits >> bit & 1))
			continue;
		snprintf(number, sizeof(number), "word %u bit %u", word, bit);
		for (unsigned i = 0; i < ARRAY_SIZE(named); i++)
			if (named[i].word == word && named[i].bit == bit)
				name = named[i].name;
		more = xasprintf("%s%s%s", all, *all ? ", " : "", name);
		free(all);
		all = more;
	}
	return all;
}

static int compare_words(const CpuinfoX86Entry *i, const CpuinfoX86Entry *h, unsigned caps)
{
	int ret = 0;

	for (unsigned w = 0; w < min(i->n_capability, h->n_capability); w++) {
		uint32_t missing = i->capability[w] & ~h->capability[w] & ~irrelevant(w);
		uint32_t other = (i->capability[w] ^ h->capability[w]) & ~irrelevant(w);
		uint32_t bad = 0;
		cleanup_free char *names = NULL;

		if (caps & CPU_CAP_INS)
			bad |= missing;
		if (caps & CPU_CAP_FPU)
			bad |= missing & fpu_bits(w);
		if (caps & CPU_CAP_CPU)
			bad |= other;
		if (!bad)
			continue;
		names = bit_names(w, bad);
		pr_err("CPU features differ from the image's: %s", names ?: "");
		ret = -1;
	}
	return ret;
}

int cpuinfo_compare(const CpuinfoEntry *image, const CpuinfoEntry *here, unsigned caps)
{
	const CpuinfoX86Entry *i, *h = here->x86_entry[0];
	int ret;

	if (image->n_x86_entry != 1) {
		pr_err("The image's CPU is not an x86 one");
		return -1;
	}
	i = image->x86_entry[0];
	ret = compare_words(i, h, caps);
	if (caps & CPU_CAP_CPU && (i->vendor_id != h->vendor_id || i->cpu_family != h->cpu_family ||
				   i->model != h->model)) {
		pr_err("The image's CPU is another model: %s, here %s", i->model_id ?: "unknown",
		       h->model_id ?: "unknown");
		ret = -1;
	}
	if (caps & CPU_CAP_FPU && i->has_xfeatures_mask && i->xfeatures_mask & ~h->xfeatures_mask) {
		pr_err("The image's CPU has vector state that is not here: xfeatures 0x%lx, here "
		       "0x%lx",
		       i->xfeatures_mask, h->xfeatures_mask);
		ret = -1;
	}
	return ret;
}
