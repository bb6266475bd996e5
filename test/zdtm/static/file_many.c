// SPDX-License-Identifier: GPL-2.0-only
/* Many descriptors, scattered numbers, the highest ones far up. */
#include "zdtm.h"

#define NR 600

int main(int argc, char **argv)
{
	int i, fd, place[NR];
	struct stat st, want;

	test_init(argc, argv);
	for (i = 0; i < NR; i++) {
		fd = SYS(open(i % 2 ? "/dev/null" : "/dev/zero", i % 3 ? O_RDONLY : O_WRONLY));
		place[i] = 10 + i * 7 + (i > NR - 3 ? 10000 : 0);
		if (fd != place[i]) {
			SYS(dup3(fd, place[i], i % 4 ? 0 : O_CLOEXEC));
			close(fd);
		}
	}
	test_daemon();
	test_waitsig();
	SABOTAGE(close(place[400]));
	for (i = 0; i < NR; i++) {
		SYS(stat(i % 2 ? "/dev/null" : "/dev/zero", &want));
		CHECK(!fstat(place[i], &st) && st.st_rdev == want.st_rdev,
		      "descriptor %d is another", place[i]);
		CHECK((fcntl(place[i], F_GETFL) & O_ACCMODE) == (i % 3 ? O_RDONLY : O_WRONLY),
		      "descriptor %d has another mode", place[i]);
		CHECK((fcntl(place[i], F_GETFD) == FD_CLOEXEC) == !(i % 4),
		      "descriptor %d: close-on-exec is wrong", place[i]);
	}
	CHECK(fcntl(12, F_GETFD) == -1, "descriptor 12 is open");
	pass();
}
