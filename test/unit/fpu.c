// SPDX-License-Identifier: GPL-2.0-only
/* What a task has in its registers goes through the image form into another task. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <asm/ldt.h>
#include <cpuid.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "regs.h"
#include "test/unit/lib/bytes.h"
#include "test/unit/lib/child.h"
#include "util/xmalloc.h"

#define AVX512 __attribute__((target("avx512f,avx512bw")))

static bool have_avx512(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
}

/* what a child finds in its registers */
struct found {
	uint64_t zmm31[8], zmm0[8], k3;
	uint16_t cwd;
	uint32_t mxcsr;
	double st0;
};
static struct found *found;

static pid_t stopped_child(void (*body)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	return pid;
}

static AVX512 void fill512(void)
{
	static const uint64_t a[8] = { 1, 2, 3, 4, 5, 6, 7, 8 },
			      b[8] = { 11, 12, 13, 14, 15, 16, 17, 18 };
	static const double d = 2.5;
	static const uint16_t cw = 0x27f;
	static const uint32_t mx = 0x9f80;

	asm volatile("vmovdqu64 %0, %%zmm31; vmovdqu64 %1, %%zmm0; mov $0x123456789a, %%rax; kmovq "
		     "%%rax, %%k3;"
		     "fldcw %3; fldl %2; ldmxcsr %4; int3"
		     :
		     : "m"(a), "m"(b), "m"(d), "m"(cw), "m"(mx)
		     : "rax", "memory");
}

static AVX512 void report512(void)
{
	asm volatile("int3; vmovdqu64 %%zmm31, %0; vmovdqu64 %%zmm0, %1; kmovq %%k3, %%rax; mov "
		     "%%rax, %2;"
		     "fnstcw %3; fstl %4; stmxcsr %5"
		     : "=m"(found->zmm31), "=m"(found->zmm0), "=m"(found->k3), "=m"(found->cwd),
		       "=m"(found->st0), "=m"(found->mxcsr)
		     :
		     : "rax", "memory");
}

static void nothing(void)
{
	raise(SIGSTOP);
}

static CoreEntry *dump(pid_t pid)
{
	CoreEntry *core = xmalloc(sizeof(*core));
	struct arch_regs regs;

	core_entry__init(core);
	assert_int_equal(arch_get_regs(pid, &regs), 0);
	assert_int_equal(arch_dump_thread(pid, &regs, core), 0);
	return core;
}

static CoreEntry *packed(CoreEntry *core)
{
	CoreEntry *c = through_bytes(core);

	core_entry__free_unpacked(core, NULL);
	return c;
}

static void avx512_round_trip(void **state)
{
	pid_t from, to;
	CoreEntry *core;
	UserX86XsaveEntry *x;

	if (!have_avx512())
		skip();
	memset(found, 0, sizeof(*found));
	from = stopped_child(fill512);
	core = packed(dump(from));
	x = core->thread_info->fpregs->xsave;
	assert_int_equal(core->thread_info->fpregs->cwd, 0x27f);
	assert_int_equal(x->n_ymmh_space, 64);
	assert_int_equal(x->n_opmask_reg, 8);
	assert_int_equal(x->n_zmm_upper, 64);
	assert_int_equal(x->n_hi16_zmm, 128);
	assert_int_equal(x->opmask_reg[3], 0x123456789a);
	assert_int_equal(x->hi16_zmm[15 * 8 + 7], 8);
	assert_int_equal(x->zmm_upper[3], 18);
	assert_int_equal(x->ymmh_space[0], 13);

	to = stopped_child(report512);
	assert_int_equal(arch_check_core(core), 0);
	assert_int_equal(arch_restore_fpu(to, core), 0);
	assert_int_equal(ptrace(PTRACE_CONT, to, 0, 0), 0);
	waitpid(to, NULL, 0);
	assert_int_equal(found->zmm31[0], 1);
	assert_int_equal(found->zmm31[7], 8);
	assert_int_equal(found->zmm0[7], 18);
	assert_int_equal(found->k3, 0x123456789a);
	assert_int_equal(found->cwd, 0x27f);
	assert_int_equal(found->mxcsr, 0x9f80);
	assert_true(found->st0 == 2.5);
	core_entry__free_unpacked(core, NULL);
	end_child(from);
}

static void tls_round_trip(void **state)
{
	pid_t from = stopped_child(nothing), to = stopped_child(nothing);
	struct user_desc d = { .entry_number = 13,
			       .base_addr = 0x1000,
			       .limit = 0xfffff,
			       .seg_32bit = 1,
			       .limit_in_pages = 1,
			       .useable = 1,
			       .contents = 1 };
	CoreEntry *core;

	assert_int_equal(ptrace(26 /* PTRACE_SET_THREAD_AREA */, from, 13, &d), 0);
	core = packed(dump(from));
	assert_int_equal(core->thread_info->n_tls, 3);
	assert_true(core->thread_info->tls[0]->seg_not_present);
	assert_true(core->thread_info->tls[0]->read_exec_only);
	assert_true(core->thread_info->tls[1]->usable);
	assert_true(core->thread_info->tls[1]->contents_l);
	assert_int_equal(arch_restore_fpu(to, core), 0);
	memset(&d, 0, sizeof(d));
	assert_int_equal(ptrace(25 /* PTRACE_GET_THREAD_AREA */, to, 13, &d), 0);
	assert_int_equal(d.base_addr, 0x1000);
	assert_int_equal(d.limit, 0xfffff);
	assert_int_equal(d.contents, 1);
	core_entry__free_unpacked(core, NULL);
	end_child(from);
	end_child(to);
}

static void general_registers_round_trip(void **state)
{
	pid_t from = stopped_child(nothing), to = stopped_child(nothing);
	CoreEntry *core = packed(dump(from));
	struct arch_regs a, b;

	core->thread_info->gpregs->r15 = 0x1515151515151515;
	core->thread_info->gpregs->fs_base = 0x12345000;
	assert_int_equal(arch_get_regs(from, &a), 0);
	assert_int_equal(arch_restore_regs(to, core), 0);
	assert_int_equal(arch_get_regs(to, &b), 0);
	assert_int_equal(b.r.r15, 0x1515151515151515);
	assert_int_equal(b.r.fs_base, 0x12345000);
	a.r.r15 = b.r.r15;
	a.r.fs_base = b.r.fs_base;
	assert_memory_equal(&a.r, &b.r, sizeof(a.r));
	core_entry__free_unpacked(core, NULL);
	end_child(from);
	end_child(to);
}

/* Images of another machine: refused before anything is made. */
static void foreign_cores_are_refused(void **state)
{
	pid_t pid = stopped_child(nothing);
	CoreEntry *core = dump(pid);
	UserX86XsaveEntry *x = core->thread_info->fpregs->xsave;

	assert_int_equal(arch_check_core(core), 0);
	core->mtype = CORE_ENTRY__MARCH__AARCH64;
	assert_int_equal(arch_check_core(core), -1);
	core->mtype = arch_march;
	core->thread_info->gpregs->mode = USER_X86_REGS_MODE__COMPAT;
	assert_int_equal(arch_check_core(core), -1);
	core->thread_info->gpregs->mode = USER_X86_REGS_MODE__NATIVE;
	core->thread_info->fpregs->n_xmm_space = 63;
	assert_int_equal(arch_check_core(core), -1);
	core->thread_info->fpregs->n_xmm_space = 64;
	if (x) {
		uint64_t bv = x->xstate_bv;
		size_t nr = x->n_ymmh_space;

		x->xstate_bv |= 1UL << 62;
		assert_int_equal(arch_check_core(core), -1);
		x->xstate_bv = bv | 1 << 18; /* AMX: nothing in the image holds it */
		assert_int_equal(arch_check_core(core), -1);
		x->xstate_bv = bv | 1 << 2;
		x->n_ymmh_space = nr - 1;
		assert_int_equal(arch_check_core(core), -1);
		x->n_ymmh_space = nr;
	}
	core_entry__free_unpacked(core, NULL);
	end_child(pid);
}

static void use_amx(void)
{
	static const struct {
		uint8_t palette, start, rest[14];
		uint16_t cols[16];
		uint8_t rows[16];
	} cfg = { .palette = 1, .cols = { 64 }, .rows = { 16 } };

	syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18);
	asm volatile("ldtilecfg %0; int3" : : "m"(cfg));
}

static void amx_in_use_is_refused(void **state)
{
	uint32_t a, b, c, d;
	CoreEntry core = CORE_ENTRY__INIT;
	struct arch_regs regs;
	pid_t pid;

	__cpuid_count(7, 0, a, b, c, d);
	if (!(d & 1 << 24))
		skip();
	pid = stopped_child(use_amx);
	assert_int_equal(arch_get_regs(pid, &regs), 0);
	assert_int_equal(arch_dump_thread(pid, &regs, &core), -1);
	thread_info_x86__free_unpacked(core.thread_info, NULL);
	end_child(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(avx512_round_trip),
		cmocka_unit_test(tls_round_trip),
		cmocka_unit_test(general_registers_round_trip),
		cmocka_unit_test(foreign_cores_are_refused),
		cmocka_unit_test(amx_in_use_is_refused),
	};

	found = mmap(NULL, sizeof(*found), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
