// SPDX-License-Identifier: GPL-2.0-only
/*
 * Thread state of x86-64 in core-*.img: general registers, FPU and XSAVE components, TLS descriptors.
 * The XSAVE image is the one that ptrace(2) gives: standard form, offsets from CPUID leaf 0xD (Intel SDM vol. 1, ch. 13).
 */
#include "regs.h"

#include <asm/ldt.h>
#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "util/log.h"
#include "util/xmalloc.h"

#ifndef NT_X86_SHSTK
#define NT_X86_SHSTK 0x204
#endif

#define FIRST_TLS_ENTRY 12 /* of the GDT, and two more */
#define NR_TLS_ENTRIES	3
#define USER_CS		0x33
#define USER_DS		0x2b

const int arch_march = CORE_ENTRY__MARCH__X86_64;

/* The first 512 bytes (FXSAVE), and the header behind them. */
struct fxsave {
	uint16_t cwd, swd, twd, fop;
	uint64_t rip, rdp;
	uint32_t mxcsr, mxcsr_mask;
	uint32_t st_space[32], xmm_space[64];
	uint32_t padding[12];
	uint64_t features; /* the kernel's: components in this image */
	uint64_t sw_reserved[5];
	uint64_t xstate_bv, xcomp_bv, reserved[6];
};
#define XSAVE_MAX 16384

/* Components that the image format has a field for. */
enum { X87, SSE, YMM, BNDREGS, BNDCSR, OPMASK, ZMM_HI256, HI16_ZMM, PKRU = 9, NR_COMPONENTS };
static const char *const component_names[] = {
	"x87",
	"SSE",
	"AVX",
	"MPX bound registers",
	"MPX configuration",
	"AVX-512 masks",
	"AVX-512 upper halves",
	"AVX-512 registers 16-31",
	"processor trace",
	"protection keys",
	"PASID",
	"shadow stack",
	"shadow stack",
	"HDC",
	"user interrupts",
	"LBR",
	"HWP",
	"AMX tile configuration",
	"AMX tile data",
	"APX",
};
#define FORMAT_MASK                                                                  \
	(1 << X87 | 1 << SSE | 1 << YMM | 1 << BNDREGS | 1 << BNDCSR | 1 << OPMASK | \
	 1 << ZMM_HI256 | 1 << HI16_ZMM | 1 << PKRU)

/* What this CPU and kernel have: asked once, since CPUID is slow in a virtual machine. */
struct layout {
	bool known;
	uint64_t features; /* XCR0 */
	uint32_t offset[NR_COMPONENTS], size[NR_COMPONENTS];
};

static const struct layout *cpu_layout(void)
{
	static struct layout l;
	uint32_t a, b, c, d;

	if (l.known)
		return &l;
	l.known = true;
	if (!__get_cpuid_count(1, 0, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return &l;
	__cpuid_count(0xd, 0, a, b, c, d);
	l.features = a | (uint64_t)d << 32;
	for (int i = YMM; i < NR_COMPONENTS; i++)
		if (l.features & 1 << i) {
			__cpuid_count(0xd, i, a, b, c, d);
			l.size[i] = a;
			l.offset[i] = b;
		}
	return &l;
}

static const char *component_name(uint64_t mask)
{
	unsigned bit = __builtin_ctzll(mask);

	return bit < ARRAY_SIZE(component_names) ? component_names[bit] : "an unknown extension";
}

/* An array field: elements of SIZE bytes copied from FROM. */
static int copy_array(size_t *nr, void *array, size_t size, const void *from, size_t len)
{
	void *v = xmalloc(len);

	if (!v)
		return -1;
	memcpy(v, from, len);
	*(void **)array = v;
	*nr = len / size;
	return 0;
}
#define COPY_ARRAY(msg, field, from, len) \
	copy_array(&(msg)->n_##field, &(msg)->field, sizeof((msg)->field[0]), from, len)

static int dump_components(const char *image, size_t len, UserX86XsaveEntry *x)
{
	const struct layout *l = cpu_layout();

#define COMPONENT(id, field)                                                   \
	if ((l->features & 1 << (id)) && l->offset[id] + l->size[id] <= len && \
	    COPY_ARRAY(x, field, image + l->offset[id], l->size[id]))          \
		return -1;
	COMPONENT(YMM, ymmh_space)
	COMPONENT(BNDREGS, bndreg_state)
	COMPONENT(BNDCSR, bndcsr_state)
	COMPONENT(OPMASK, opmask_reg)
	COMPONENT(ZMM_HI256, zmm_upper)
	COMPONENT(HI16_ZMM, hi16_zmm)
	COMPONENT(PKRU, pkru)
#undef COMPONENT
	return 0;
}

/* A component that is in use and has no field in the images: its contents would be lost. */
static int refuse_unknown(pid_t tid, uint64_t xstate_bv)
{
	uint64_t foreign = xstate_bv & ~(uint64_t)FORMAT_MASK, shstk;
	struct iovec iov = { &shstk, sizeof(shstk) };

	if (foreign) {
		pr_err("task %d uses CPU state that images have no room for: %s (XSAVE component "
		       "%d)",
		       tid, component_name(foreign), __builtin_ctzll(foreign));
		return -1;
	}
	if (!ptrace(PTRACE_GETREGSET, tid, NT_X86_SHSTK, &iov)) {
		pr_err("task %d uses a shadow stack (CET), which is not supported", tid);
		return -1;
	}
	return 0;
}

static int get_xstate(pid_t tid, char *image, size_t *len)
{
	struct iovec iov = { image, XSAVE_MAX };

	if (!ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &iov) &&
	    iov.iov_len >= sizeof(struct fxsave)) {
		*len = iov.iov_len;
		return 0;
	}
	/* a CPU without XSAVE */
	memset(image, 0, sizeof(struct fxsave));
	iov.iov_len = 512;
	if (ptrace(PTRACE_GETREGSET, tid, NT_PRFPREG, &iov)) {
		pr_perror("task %d: cannot read its FPU state", tid);
		return -1;
	}
	*len = 512;
	return 0;
}

static int dump_fpu(pid_t tid, UserX86FpregsEntry *f)
{
	char image[XSAVE_MAX] __attribute__((aligned(64)));
	struct fxsave *fx = (struct fxsave *)image;
	size_t len;

	if (get_xstate(tid, image, &len) || refuse_unknown(tid, fx->xstate_bv))
		return -1;
	f->cwd = fx->cwd;
	f->swd = fx->swd;
	f->twd = fx->twd;
	f->fop = fx->fop;
	f->rip = fx->rip;
	f->rdp = fx->rdp;
	f->mxcsr = fx->mxcsr;
	f->mxcsr_mask = fx->mxcsr_mask;
	if (COPY_ARRAY(f, st_space, fx->st_space, sizeof(fx->st_space)) ||
	    COPY_ARRAY(f, xmm_space, fx->xmm_space, sizeof(fx->xmm_space)))
		return -1;
	if (len < sizeof(*fx))
		return 0;
	if (!PB_NEW(f->xsave, user_x86_xsave_entry__init))
		return -1;
	f->xsave->xstate_bv = fx->xstate_bv;
	return dump_components(image, len, f->xsave);
}

static int dump_tls(pid_t tid, ThreadInfoX86 *ti)
{
	ti->tls = xcalloc(NR_TLS_ENTRIES, sizeof(*ti->tls));
	if (!ti->tls)
		return -1;
	for (int i = 0; i < NR_TLS_ENTRIES; i++) {
		struct user_desc d;
		UserDescT *e;

		if (ptrace(PTRACE_GET_THREAD_AREA, tid, FIRST_TLS_ENTRY + i, &d)) {
			pr_perror("task %d: cannot read TLS descriptor %d", tid,
				  FIRST_TLS_ENTRY + i);
			return -1;
		}
		if (!PB_NEW(e, user_desc_t__init))
			return -1;
		ti->tls[ti->n_tls++] = e;
		e->entry_number = FIRST_TLS_ENTRY + i;
		e->base_addr = d.base_addr;
		e->limit = d.limit;
		e->seg_32bit = d.seg_32bit;
		e->contents_h = d.contents >> 1;
		e->contents_l = d.contents & 1;
		e->read_exec_only = d.read_exec_only;
		e->limit_in_pages = d.limit_in_pages;
		e->seg_not_present = d.seg_not_present;
		e->usable = d.useable;
	}
	return 0;
}

/* Fields of the images and of the kernel, side by side, for both directions. */
/* clang-format off */
#define GENERAL_REGISTERS(R) \
	R(r15, r15) R(r14, r14) R(r13, r13) R(r12, r12) R(bp, rbp) R(bx, rbx) \
	R(r11, r11) R(r10, r10) R(r9, r9) R(r8, r8) R(ax, rax) R(cx, rcx) R(dx, rdx) \
	R(si, rsi) R(di, rdi) R(orig_ax, orig_rax) R(ip, rip) R(cs, cs) R(flags, eflags) \
	R(sp, rsp) R(ss, ss) R(fs_base, fs_base) R(gs_base, gs_base) \
	R(ds, ds) R(es, es) R(fs, fs) R(gs, gs)
/* clang-format on */

static void dump_general(const struct arch_regs *regs, UserX86RegsEntry *e)
{
#define R(image, kernel) e->image = regs->r.kernel;
	GENERAL_REGISTERS(R)
#undef R
	e->has_mode = true;
	e->mode = USER_X86_REGS_MODE__NATIVE;
}

int arch_dump_thread(pid_t tid, const struct arch_regs *regs, CoreEntry *core)
{
	ThreadInfoX86 *ti;

	if (!PB_NEW(ti, thread_info_x86__init))
		return -1;
	core->mtype = CORE_ENTRY__MARCH__X86_64;
	core->thread_info = ti;
	if (!PB_NEW(ti->gpregs, user_x86_regs_entry__init) ||
	    !PB_NEW(ti->fpregs, user_x86_fpregs_entry__init))
		return -1;
	dump_general(regs, ti->gpregs);
	return dump_fpu(tid, ti->fpregs) || dump_tls(tid, ti) ? -1 : 0;
}

uint64_t *arch_clear_tid_addr(const CoreEntry *core)
{
	return &core->thread_info->clear_tid_addr;
}

int arch_restore_regs(pid_t tid, const CoreEntry *core)
{
	const UserX86RegsEntry *e = core->thread_info->gpregs;
	struct arch_regs regs = { 0 };

#define R(image, kernel) regs.r.kernel = e->image;
	GENERAL_REGISTERS(R)
#undef R
	return arch_set_regs(tid, &regs);
}

static int restore_tls(pid_t tid, const ThreadInfoX86 *ti)
{
	for (size_t i = 0; i < ti->n_tls; i++) {
		const UserDescT *e = ti->tls[i];
		struct user_desc d = {
			.entry_number = e->entry_number,
			.base_addr = e->base_addr,
			.limit = e->limit,
			.seg_32bit = e->seg_32bit,
			.contents = e->contents_h << 1 | e->contents_l,
			.read_exec_only = e->read_exec_only,
			.limit_in_pages = e->limit_in_pages,
			.seg_not_present = e->seg_not_present,
			.useable = e->usable,
		};

		if (ptrace(PTRACE_SET_THREAD_AREA, tid, e->entry_number, &d)) {
			pr_perror("task %d: cannot set TLS descriptor %u", tid, e->entry_number);
			return -1;
		}
	}
	return 0;
}

/* Where arrays of the image go in the XSAVE area; x87 and SSE are in its legacy part. */
struct part {
	int component;
	const void *v;
	size_t len;
	const char *name;
};
/* clang-format off */
#define PARTS(x) { \
	{ YMM, x->ymmh_space, x->n_ymmh_space * 4, "ymmh_space" }, \
	{ BNDREGS, x->bndreg_state, x->n_bndreg_state * 8, "bndreg_state" }, \
	{ BNDCSR, x->bndcsr_state, x->n_bndcsr_state * 8, "bndcsr_state" }, \
	{ OPMASK, x->opmask_reg, x->n_opmask_reg * 8, "opmask_reg" }, \
	{ ZMM_HI256, x->zmm_upper, x->n_zmm_upper * 8, "zmm_upper" }, \
	{ HI16_ZMM, x->hi16_zmm, x->n_hi16_zmm * 8, "hi16_zmm" }, \
	{ PKRU, x->pkru, x->n_pkru * 4, "pkru" }, \
}
/* clang-format on */

static void fill_xstate(char *image, const UserX86FpregsEntry *f)
{
	const struct layout *l = cpu_layout();
	const UserX86XsaveEntry *x = f->xsave;
	struct fxsave *fx = (struct fxsave *)image;

	fx->cwd = f->cwd;
	fx->swd = f->swd;
	fx->twd = f->twd;
	fx->fop = f->fop;
	fx->rip = f->rip;
	fx->rdp = f->rdp;
	fx->mxcsr = f->mxcsr;
	fx->mxcsr_mask = f->mxcsr_mask;
	memcpy(fx->st_space, f->st_space, sizeof(fx->st_space));
	memcpy(fx->xmm_space, f->xmm_space, sizeof(fx->xmm_space));
	if (!x) {
		fx->xstate_bv = 1 << X87 | 1 << SSE;
		return;
	}
	const struct part parts[] = PARTS(x);

	fx->xstate_bv = x->xstate_bv;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (x->xstate_bv & 1 << parts[i].component)
			memcpy(image + l->offset[parts[i].component], parts[i].v, parts[i].len);
}

int arch_restore_fpu(pid_t tid, const CoreEntry *core)
{
	char image[XSAVE_MAX] __attribute__((aligned(64)));
	struct iovec iov = { image, 0 };
	uint64_t features;

	if (get_xstate(tid, image, &iov.iov_len))
		return -1;
	/* the kernel wants the size and the features that it would give itself */
	features = ((struct fxsave *)image)->features;
	memset(image, 0, sizeof(image));
	((struct fxsave *)image)->features = features;
	fill_xstate(image, core->thread_info->fpregs);
	if (ptrace(PTRACE_SETREGSET, tid, iov.iov_len > 512 ? NT_X86_XSTATE : NT_PRFPREG, &iov)) {
		pr_perror("task %d: cannot set its FPU state", tid);
		return -1;
	}
	return restore_tls(tid, core->thread_info);
}

static int check_xsave(const UserX86XsaveEntry *x)
{
	const struct layout *l = cpu_layout();
	const struct part parts[] = PARTS(x);
	uint64_t lacking = x->xstate_bv & ~(l->features & FORMAT_MASK);

	if (lacking) {
		pr_err("core image: the task was using %s (XSAVE component %d), which cannot be "
		       "restored on this CPU",
		       component_name(lacking), __builtin_ctzll(lacking));
		return -1;
	}
	if (x->cet) {
		pr_err("the task was using a shadow stack (CET), which is not supported");
		return -1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		int id = parts[i].component;

		if (!(x->xstate_bv & 1 << id))
			continue;
		if (parts[i].len == l->size[id] && l->offset[id] + l->size[id] <= XSAVE_MAX)
			continue;
		pr_err("core image: %s has %zu bytes, this CPU wants %u", parts[i].name,
		       parts[i].len, l->size[id]);
		return -1;
	}
	return 0;
}

int arch_check_core(const CoreEntry *core)
{
	const ThreadInfoX86 *ti = core->thread_info;

	if (core->mtype != CORE_ENTRY__MARCH__X86_64 || !ti) {
		pr_err("core image is of another architecture (mtype %d), this is x86-64",
		       core->mtype);
		return -1;
	}
	if (ti->gpregs->mode != USER_X86_REGS_MODE__NATIVE || ti->gpregs->cs != USER_CS ||
	    ti->gpregs->ss != USER_DS) {
		pr_err("core image is of a task that ran 32-bit code, which is not supported");
		return -1;
	}
	if (ti->fpregs->n_st_space != 32 || ti->fpregs->n_xmm_space != 64) {
		pr_err("core image: st_space and xmm_space have %zu and %zu elements instead of 32 "
		       "and 64",
		       ti->fpregs->n_st_space, ti->fpregs->n_xmm_space);
		return -1;
	}
	return ti->fpregs->xsave ? check_xsave(ti->fpregs->xsave) : 0;
}
