// SPDX-License-Identifier: GPL-2.0-only
#include "zdtm.h"

#include <linux/futex.h>
#include <stdarg.h>

bool test_sabotaged;
volatile int test_stop;

static void on_sigterm(int sig)
{
	int err = errno;

	test_stop = 1;
	/* the kernel may give the signal to another thread than the one that waits */
	syscall(SYS_futex, &test_stop, FUTEX_WAKE, 1 << 30, NULL, NULL, 0);
	errno = err;
}

void test_init(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_sigterm };

	if (argc < 1 || !argv[0])
		die("no name");
	test_sabotaged = getenv("ZDTM_SABOTAGE") != NULL;
	SYS(sigaction(SIGTERM, &sa, NULL));
}

static void mask_sigterm(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	SYS(sigprocmask(how, &set, NULL));
}

void test_threads(pthread_t *threads, size_t nr, void *(*run)(void *))
{
	size_t i;

	mask_sigterm(SIG_BLOCK);
	for (i = 0; i < nr; i++)
		if (pthread_create(&threads[i], NULL, run, (void *)i))
			die("pthread_create");
	mask_sigterm(SIG_UNBLOCK);
}

void test_daemon(void)
{
	dprintf(1, "READY\n");
}

void test_waitsig(void)
{
	while (!test_stop)
		syscall(SYS_futex, &test_stop, FUTEX_WAIT, 0, NULL, NULL, 0);
}

bool test_go(void)
{
	return !test_stop;
}

static void say(const char *verdict, int err, const char *fmt, va_list args)
{
	char text[512];
	int n;

	n = vsnprintf(text, sizeof(text), fmt, args);
	if (n < 0)
		n = 0;
	if ((size_t)n < sizeof(text) && err)
		snprintf(text + n, sizeof(text) - n, " (%s)", strerror(err));
	dprintf(1, "%s: %s\n", verdict, text);
}

void fail(const char *fmt, ...)
{
	va_list args;
	int err = errno;

	va_start(args, fmt);
	say("FAIL", err, fmt, args);
	_exit(1);
}

void die(const char *fmt, ...)
{
	va_list args;
	int err = errno;

	va_start(args, fmt);
	say("FAIL: cannot set up", err, fmt, args);
	_exit(2);
}

void skip(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say("SKIP", 0, fmt, args);
	_exit(0);
}

void note(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say("note", 0, fmt, args);
	va_end(args);
}

void pass(void)
{
	dprintf(1, "PASS\n");
	_exit(0);
}

pid_t test_fork(void)
{
	pid_t pid = SYS(fork());

	if (!pid)
		test_stop = 0;
	return pid;
}

int test_wait(pid_t pid)
{
	int status;
	pid_t got;

	do
		got = waitpid(pid, &status, 0);
	while (got < 0 && errno == EINTR);
	if (got != pid)
		fail("waitpid(%d)", pid);
	errno = 0;
	return status;
}

void test_end(pid_t pid)
{
	int status;

	if (kill(pid, SIGTERM))
		fail("no child %d to end", pid);
	status = test_wait(pid);
	if (status)
		fail("child %d ended with status %#x", pid, status);
}

void gate_init(struct gate *g)
{
	SYS(pipe(g->fd));
}

void gate_open(struct gate *g)
{
	write_all(g->fd[1], "!", 1);
	close(g->fd[0]);
	close(g->fd[1]);
}

void gate_wait(struct gate *g)
{
	char c;

	close(g->fd[1]);
	read_all(g->fd[0], &c, 1);
	close(g->fd[0]);
}

uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

void fill(void *buf, size_t len, uint64_t seed)
{
	unsigned char *p = buf;
	uint64_t word;
	size_t i;

	for (i = 0; i + 8 <= len; i += 8) {
		word = next_random(&seed);
		memcpy(p + i, &word, 8);
	}
	word = next_random(&seed);
	memcpy(p + i, &word, len - i);
}

ssize_t differs(const void *buf, size_t len, uint64_t seed)
{
	const unsigned char *p = buf;
	uint64_t word;
	size_t i;

	for (i = 0; i + 8 <= len; i += 8) {
		word = next_random(&seed);
		if (memcmp(p + i, &word, 8))
			return i;
	}
	word = next_random(&seed);
	return memcmp(p + i, &word, len - i) ? (ssize_t)i : -1;
}

void *map_anon(size_t len, bool shared)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_ANONYMOUS | (shared ? MAP_SHARED : MAP_PRIVATE), -1, 0);

	if (p == MAP_FAILED)
		die("mmap of %zu bytes", len);
	return p;
}

char *map_numbered(size_t nr)
{
	char *mem = map_anon(nr * PAGE, false);
	size_t i;

	for (i = 0; i < nr; i++)
		fill(mem + i * PAGE, PAGE, i);
	return mem;
}

void check_page(const char *mem, size_t i)
{
	CHECK(differs(mem + i * PAGE, PAGE, i) < 0, "page %zu differs", i);
}

bool is_zero(const void *buf, size_t len)
{
	const char *p = buf;

	return !p[0] && !memcmp(p, p + 1, len - 1);
}

int64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts))
		die("clock_gettime(%d)", clock);
	return ts.tv_sec * NSEC + ts.tv_nsec;
}

void sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

void write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;
	ssize_t n;

	for (; len; len -= n, p += n) {
		n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			die("write to descriptor %d", fd);
	}
}

void read_all(int fd, void *buf, size_t len)
{
	char *p = buf;
	ssize_t n;

	for (; len; len -= n, p += n) {
		n = read(fd, p, len);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			die("read from descriptor %d", fd);
		else if (!n)
			die("descriptor %d ended %zu bytes early", fd, len);
	}
}

int make_file(const char *name, size_t len, uint64_t seed, int flags)
{
	char *buf = malloc(len + 1);
	int fd = SYS(open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644));

	if (!buf)
		die("malloc");
	fill(buf, len, seed);
	write_all(fd, buf, len);
	free(buf);
	close(fd);
	return SYS(open(name, flags));
}

static bool value_after(const char *line, const char *key, char *buf, size_t len)
{
	size_t n = strlen(key);

	if (strncmp(line, key, n) || line[n] != ':')
		return false;
	line += n + 1;
	line += strspn(line, " \t");
	snprintf(buf, len, "%.*s", (int)strcspn(line, "\n"), line);
	return true;
}

bool proc_value(const char *file, const char *key, char *buf, size_t len)
{
	char path[64], line[1024];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/%s", file);
	f = fopen(path, "r");
	if (!f)
		die("cannot open %s", path);
	while (!found && fgets(line, sizeof(line), f))
		found = value_after(line, key, buf, len);
	fclose(f);
	return found;
}

bool smaps_value(const void *addr, const char *key, char *buf, size_t len)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	bool found = false, inside = false;
	unsigned long start, end;
	char line[1024];

	if (!f)
		die("cannot open /proc/self/smaps");
	while (!found && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = (unsigned long)addr >= start && (unsigned long)addr < end;
		else if (inside)
			found = value_after(line, key, buf, len);
	}
	fclose(f);
	return found;
}

bool page_present(const void *addr)
{
	int fd = SYS(open("/proc/self/pagemap", O_RDONLY));
	uint64_t entry;

	if (pread(fd, &entry, 8, (unsigned long)addr / PAGE * 8) != 8)
		die("cannot read pagemap");
	close(fd);
	return entry >> 62;
}
