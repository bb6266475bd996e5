// SPDX-License-Identifier: GPL-2.0-only
/* Memory of huge pages that was asked for (MAP_HUGETLB): private, shared with a child, and of a memfd, each with a hole; and one that a child shares copy-on-write. */
#include "zdtm.h"

#define HUGE  (2 * MIB)
#define NR    3
#define FLAGS (MAP_ANONYMOUS | MAP_HUGETLB | 21 << 26)

static char *map(int flags, int fd)
{
	char *mem = mmap(NULL, NR * HUGE, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (mem == MAP_FAILED)
		skip("there are no huge pages to be had");
	return mem;
}

/* The page in the middle is left out. */
static void write_ends(char *mem, int seed)
{
	fill(mem, HUGE, seed);
	fill(mem + 2 * HUGE, HUGE, seed + 1);
}

static void check_ends(const char *what, char *mem, int seed)
{
	CHECK(differs(mem, HUGE, seed) < 0 && differs(mem + 2 * HUGE, HUGE, seed + 1) < 0,
	      "%s differs", what);
	CHECK(!mem[HUGE] && !mem[2 * HUGE - 1], "%s has something in its hole", what);
}

/* The flags and the page size as smaps has them. */
static bool is_huge(const void *mem)
{
	char line[256], start[32];
	bool here = false, size = false, flag = false;
	FILE *f = fopen("/proc/self/smaps", "r");

	snprintf(start, sizeof(start), "%lx-", (unsigned long)mem);
	while (f && fgets(line, sizeof(line), f)) {
		if (strchr(line, '-') && strchr(line, '-') < strchr(line, ' '))
			here = !strncmp(line, start, strlen(start));
		size |= here && strstr(line, "KernelPageSize:") && strstr(line, " 2048 kB");
		flag |= here && strstr(line, "VmFlags:") && strstr(line, " ht");
	}
	if (f)
		fclose(f);
	return size && flag;
}

int main(int argc, char **argv)
{
	char *private, *shared, *file;
	struct gate g;
	pid_t pid;
	int fd;

	test_init(argc, argv);
	fd = memfd_create("huge", MFD_HUGETLB | 21 << 26);
	if (fd < 0 || ftruncate(fd, NR * HUGE))
		skip("there is no hugetlb");
	private = map(MAP_PRIVATE | FLAGS, -1);
	shared = map(MAP_SHARED | FLAGS, -1);
	file = map(MAP_SHARED, fd);
	write_ends(private, 1);
	write_ends(shared, 10);
	write_ends(file, 20);
	gate_init(&g);
	pid = test_fork();
	if (!pid) {
		fill(private, HUGE, 7);
		gate_open(&g);
		test_waitsig();
		CHECK(differs(private, HUGE, 7) < 0 && differs(private + 2 * HUGE, HUGE, 2) < 0,
		      "the child's own pages differ");
		check_ends("the child's shared memory", shared, 10);
		fill(shared, HUGE, 11);
		_exit(0);
	}
	gate_wait(&g);
	test_daemon();
	test_waitsig();
	SABOTAGE(private[2 * HUGE + 5] ^= 1);
	check_ends("the private memory", private, 1);
	check_ends("the memfd's memory", file, 20);
	CHECK(is_huge(private) && is_huge(shared) && is_huge(file), "the pages are small ones");
	test_end(pid);
	CHECK(differs(shared, HUGE, 11) < 0, "what was shared with the child is not any more");
	file[HUGE] = 1;
	CHECK(pread(fd, file + 2 * HUGE, 1, HUGE) == 1 && file[2 * HUGE] == 1,
	      "the memfd and its mapping are not the same");
	pass();
}
