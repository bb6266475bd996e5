// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem/vm_flags.h"
#include "proc/proc.h"
#include "test/unit/lib/child.h"
#include "util/log.h"
#include "util/xmalloc.h"

/* A child with areas that have several properties at once, as criu's own pages do not. */
static const int advices[][3] = {
	{ MADV_DONTFORK, MADV_DONTDUMP, MADV_HUGEPAGE },
	{ MADV_SEQUENTIAL, MADV_NOHUGEPAGE, MADV_WIPEONFORK },
	{ MADV_RANDOM, MADV_MERGEABLE, MADV_DONTDUMP },
	{ MADV_DONTFORK, MADV_NORMAL, MADV_NORMAL },
	{ MADV_NORMAL, MADV_NORMAL, MADV_NORMAL },
};
static const int kinds[] = { MAP_PRIVATE, MAP_SHARED, MAP_PRIVATE | MAP_NORESERVE,
			     MAP_PRIVATE | MAP_GROWSDOWN };

/* as many as the kernel gives in several pieces */
#define MANY 5000

enum what { PLAIN, SEALED, WITH_MANY };

static void child(enum what what)
{
	for (int i = 0; what == WITH_MANY && i < MANY; i++)
		mmap(NULL, PAGE_SIZE, i & 1 ? PROT_READ : PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (size_t i = 0; i < ARRAY_SIZE(advices); i++)
		for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
			char *m = mmap(NULL, 3 * PAGE_SIZE, PROT_READ | (i & 1 ? PROT_WRITE : 0),
				       kinds[k] | MAP_ANONYMOUS, -1, 0);

			for (int a = 0; a < 3; a++)
				madvise(m, PAGE_SIZE, advices[i][a]);
			if (i == 3)
				syscall(SYS_mlock2, m, PAGE_SIZE, k & 1);
			if (what == SEALED && i == 2)
				syscall(462 /* mseal */, m, PAGE_SIZE, 0);
		}
	for (;;)
		pause();
}

struct seen {
	struct {
		uint64_t start, end, flags;
		bool shared;
	} v[2 * MANY];
	size_t nr;
};

static int add(const struct proc_vma *v, void *arg)
{
	struct seen *s = arg;

	if (!strcmp(v->path ?: "", "[vsyscall]"))
		return 0;
	assert_true(s->nr < ARRAY_SIZE(s->v));
	s->v[s->nr].start = v->start;
	s->v[s->nr].end = v->end;
	s->v[s->nr].shared = v->shared;
	s->v[s->nr++].flags = v->vm_flags & VM_FLAGS_KNOWN;
	return 0;
}

static pid_t start(enum what what)
{
	pid_t pid = fork();

	if (!pid)
		child(what);
	usleep(100000); /* it sleeps by then; if not, both ways may see it differently, and say so */
	for (int i = 0; i < 100; i++) {
		char path[64], state = 0;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		f = fopen(path, "r");
		assert_non_null(f);
		assert_int_equal(fscanf(f, "%*d %*s %c", &state), 1);
		fclose(f);
		if (state == 'S')
			break;
		usleep(10000);
	}
	return pid;
}

static void as_smaps(enum what what)
{
	struct vm_flags *f = vm_flags_learn();
	static struct seen a, b;
	char path[64];
	pid_t pid;

	if (!f)
		skip();
	a.nr = b.nr = 0;
	pid = start(what);
	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	assert_int_equal(proc_read_smaps(AT_FDCWD, path, add, &a), 0);
	assert_int_equal(vm_flags_read(f, pid, add, &b), 0);
	end_child(pid);
	vm_flags_free(f);
	assert_true(a.nr > ARRAY_SIZE(advices) * ARRAY_SIZE(kinds));
	assert_int_equal(a.nr, b.nr);
	for (size_t i = 0; i < a.nr; i++) {
		assert_int_equal(a.v[i].start, b.v[i].start);
		assert_int_equal(a.v[i].end, b.v[i].end);
		assert_int_equal(a.v[i].flags, b.v[i].flags);
		assert_int_equal(a.v[i].shared, b.v[i].shared);
	}
}

static void says_what_smaps_says(void **state)
{
	as_smaps(PLAIN);
}

static void of_many_areas_too(void **state)
{
	as_smaps(WITH_MANY);
}

/* A sealed area is not among criu's own pages: its bit is not guessed. */
static void does_not_guess(void **state)
{
	struct vm_flags *f;
	static struct seen a;
	int ret;
	pid_t pid;

	if (syscall(462, NULL, 0, 0)) /* no mseal in this kernel */
		skip();
	f = vm_flags_learn();
	if (!f)
		skip();
	a.nr = 0;
	pid = start(SEALED);
	ret = vm_flags_read(f, pid, add, &a);
	end_child(pid);
	vm_flags_free(f);
	assert_int_equal(ret, 1);
	assert_int_equal(a.nr, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_smaps_says),
		cmocka_unit_test(of_many_areas_too),
		cmocka_unit_test(does_not_guess),
	};

	return cmocka_run_group_tests_name("vm_flags", tests, NULL, NULL);
}
