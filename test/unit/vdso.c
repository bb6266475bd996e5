// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <time.h>

#include "vdso.h"
#include "proc/proc.h"
#include "util/log.h"
#include "util/xmalloc.h"

static char *own;
static size_t own_len;

static int find(const struct proc_vma *v, void *arg)
{
	if (strcmp(v->path, "[vdso]"))
		return 0;
	own = (char *)v->start;
	own_len = v->end - v->start;
	return 1;
}

typedef int (*gettime_fn)(clockid_t, struct timespec *);

static void own_vdso(void **state)
{
	struct vdso_symbols s;
	struct timespec a, b;

	assert_int_equal(vdso_parse(own, own_len, &s), 0);
	for (int i = 0; i <= VDSO_CLOCK_GETRES; i++) {
		assert_true(s.f[i].offset > 0 && s.f[i].offset < own_len);
		assert_true(s.f[i].room >= 5);
	}
	assert_true(vdso_same_entries(&s, &s));
	/* what was found is the function */
	clock_gettime(CLOCK_MONOTONIC, &a);
	assert_int_equal(((gettime_fn)(own + s.f[VDSO_CLOCK_GETTIME].offset))(CLOCK_MONOTONIC, &b),
			 0);
	assert_true(b.tv_sec - a.tv_sec <= 1);
}

/* A copy of the vDSO stands for an old one: patched, its functions end up in the kernel's own. */
static void jumps_lead_to_the_new(void **state)
{
	char *near = mmap(own + (1 << 28), own_len, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *far = mmap((void *)0x100000000, own_len, PROT_READ | PROT_WRITE | PROT_EXEC,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *copies[] = { near, far };
	struct vdso_symbols s, none = { 0 };
	struct vdso_patch p[VDSO_FUNCTIONS];
	int nr;

	assert_int_equal(vdso_parse(own, own_len, &s), 0);
	for (int c = 0; c < 4; c++) {
		char *copy = copies[c % 2];
		struct timespec t = { 0 };
		gettime_fn f = (gettime_fn)(copy + s.f[VDSO_CLOCK_GETTIME].offset);

		assert_true(copy != MAP_FAILED);
		memset(copy, 0xcc, own_len); /* int3 everywhere but where it is patched */
		/* the second time round the new vDSO has no functions: system calls */
		nr = vdso_plan_jumps(&s, (uintptr_t)copy, c < 2 ? &s : &none, (uintptr_t)own, p);
		assert_true(nr >= 5);
		for (int i = 0; i < nr; i++) {
			assert_in_range(p[i].addr, (uintptr_t)copy, (uintptr_t)copy + own_len);
			memcpy((void *)p[i].addr, p[i].code, p[i].len);
		}
		assert_int_equal(f(CLOCK_REALTIME, &t), 0);
		assert_true(labs(t.tv_sec - time(NULL)) <= 1);
	}
	munmap(near, own_len), munmap(far, own_len);
}

static void too_short_is_refused(void **state)
{
	struct vdso_symbols s;
	struct vdso_patch p[VDSO_FUNCTIONS];

	assert_int_equal(vdso_parse(own, own_len, &s), 0);
	s.f[VDSO_TIME].room = 4;
	assert_int_equal(vdso_plan_jumps(&s, 0x1000, &s, 0x2000, p), -1);
}

/* Damaged images: nothing is read outside of them (a guard page is behind), and no crash. */
static void damaged_images(void **state)
{
	char *m = mmap(NULL, own_len + 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
	     *copy;
	struct vdso_symbols s;
	unsigned seed = 1, refused = 0;

	mprotect(m + own_len, 2 * PAGE_SIZE, PROT_NONE);
	copy = m;
	assert_int_equal(vdso_parse(copy, own_len, &s), -1); /* zeros */
	for (int i = 0; i < 20000; i++) {
		size_t len = rand_r(&seed) % 4 ? own_len : rand_r(&seed) % own_len;

		memcpy(copy, own, own_len);
		for (int n = rand_r(&seed) % 8 + 1; n; n--) {
			size_t at = rand_r(&seed) % (rand_r(&seed) % 2 ? 2048 : own_len);
			static const uint64_t values[] = { 0, ~0UL, 0x7fffffffffffffff, 4096, 1 };
			uint64_t v = values[rand_r(&seed) % ARRAY_SIZE(values)];

			memcpy(copy + min(at, own_len - 8), &v, rand_r(&seed) % 8 + 1);
		}
		/* at the end of what is mapped */
		memmove(copy + own_len - len, copy, len);
		if (vdso_parse(copy + own_len - len, len, &s)) {
			refused++;
			continue;
		}
		for (int f = 0; f < VDSO_FUNCTIONS; f++)
			assert_true(s.f[f].offset + s.f[f].room <= len);
	}
	assert_true(refused > 1000);
	munmap(m, own_len + 2 * PAGE_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_vdso),
		cmocka_unit_test(jumps_lead_to_the_new),
		cmocka_unit_test(too_short_is_refused),
		cmocka_unit_test(damaged_images),
	};

	if (proc_read_maps(-1, "/proc/self/maps", find, NULL) != 1)
		return 77;
	log_init(-1, "/dev/null");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
