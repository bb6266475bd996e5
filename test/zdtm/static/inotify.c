// SPDX-License-Identifier: GPL-2.0-only
/* inotify: watches of a directory and a file with their numbers and masks; they tell what happens. */
#include "zdtm.h"

#include <sys/inotify.h>

int main(int argc, char **argv)
{
	char buf[4096] __attribute__((aligned(8)));
	struct inotify_event *ev = (void *)buf;
	int fd, extra, dir, file;
	ssize_t n;

	test_init(argc, argv);
	SYS(mkdir("watched", 0755));
	close(make_file("file", 10, 1, O_RDONLY));
	fd = SYS(inotify_init1(IN_NONBLOCK));
	extra = SYS(inotify_add_watch(fd, "/", IN_DELETE_SELF)); /* number 1, removed: a gap */
	dir = SYS(inotify_add_watch(fd, "watched", IN_CREATE | IN_DELETE));
	file = SYS(inotify_add_watch(fd, "file", IN_MODIFY | IN_ONESHOT));
	SYS(inotify_rm_watch(fd, extra));
	read_all(fd, buf, sizeof(*ev)); /* IN_IGNORED of the gap */
	test_daemon();
	test_waitsig();
	SABOTAGE(inotify_rm_watch(fd, dir));
	CHECK((n = read(fd, buf, sizeof(buf))) == -1 && errno == EAGAIN,
	      "%zd bytes of events that nothing caused, the first of watch %d, mask %#x", n, ev->wd,
	      ev->mask);
	close(open("watched/new", O_CREAT | O_RDWR, 0644));
	n = read(fd, buf, sizeof(buf));
	CHECK(n > 0 && ev->wd == dir && ev->mask == IN_CREATE && !strcmp(ev->name, "new"),
	      "a new file: %zd bytes, watch %d not %d, mask %#x", n, ev->wd, dir, ev->mask);
	n = open("file", O_WRONLY);
	write_all(n, "x", 1);
	n = read(fd, buf, sizeof(buf));
	CHECK(n > 0 && ev->wd == file && ev->mask == IN_MODIFY,
	      "a changed file: %zd bytes, watch %d not %d, mask %#x", n, ev->wd, file, ev->mask);
	pass();
}
