// SPDX-License-Identifier: GPL-2.0-only
/*
 * lazy-pages.socket: what comes instead of restore. The input is a row of acts: bytes, words, descriptors of several kinds. None of them may
 * stay behind.
 */
#include <dirent.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "lazy/handover.h"
#include "lazy/lazyd.h"
#include "lazy/uffd.h"
#include "wire.h"

static int some_fd(unsigned kind)
{
	int uffd;

	switch (kind % 4) {
	case 0:
		uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
		if (uffd < 0 || uffd_api(uffd, false))
			abort();
		return uffd;
	case 1:
		return eventfd(1, EFD_CLOEXEC);
	case 2:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	}
	return dup(dirs.images);
}

static void say_fds(int sock, unsigned kind, unsigned nr)
{
	int fds[3];

	for (unsigned i = 0; i < nr; i++)
		fds[i] = some_fd(kind >> 2 * i);
	if (nr && send_fds(sock, fds, nr, 0))
		abort();
	while (nr)
		close(fds[--nr]);
}

static void act(int sock, const uint8_t *data, size_t size)
{
	size_t i = 0;

	while (i + 2 <= size) {
		unsigned op = data[i] % 5, arg = data[i + 1];
		uint32_t word = arg & 1 ? LOCAL : REMOTE;

		i += 2;
		switch (op) {
		case 0: /* a task as it should be */
			wire_say(sock, &word, sizeof(word));
			say_fds(sock, 0, 1);
			break;
		case 1: /* and as it should not */
			wire_say(sock, &word, sizeof(word));
			say_fds(sock, arg >> 2, arg & 3);
			break;
		case 2:
			word = LAZY_FINISHED;
			wire_say(sock, &word, sizeof(word));
			break;
		default:
			arg = min((size_t)arg % 9, size - i);
			wire_say(sock, data + i, arg);
			i += arg;
		}
	}
	shutdown(sock, SHUT_WR);
}

static unsigned open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void free_all(struct lazyd *d)
{
	struct object *obj;

	while ((obj = TAILQ_FIRST(&d->objects))) {
		TAILQ_REMOVE(&d->objects, obj, link);
		object_free(obj);
	}
	close_safe(&d->restore);
	close_safe(&d->listener);
	close(d->epoll);
	free(d->faults);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lazyd d = { .signals = -1 };
	unsigned before;
	int s[2];

	wire_set_up(true);
	d.j = wire_journal();
	d.st.history = wire_history();
	if (size > 512)
		return 0;
	before = open_fds();
	wire_pair(s);
	TAILQ_INIT(&d.objects);
	TAILQ_INIT(&d.prepared);
	d.epoll = epoll_create1(EPOLL_CLOEXEC);
	d.listener = eventfd(0, EFD_CLOEXEC);
	d.restore = s[0];
	if (watch(&d, d.restore, WATCH_RESTORE, NULL))
		abort();
	act(s[1], data, size);
	while (d.restore >= 0 && !restore_message(&d))
		if (d.committed && !d.finished && restore_answer(&d))
			break;
	free_all(&d);
	close(s[1]);
	if (open_fds() != before)
		abort();
	return 0;
}
