// SPDX-License-Identifier: GPL-2.0-only
/* A pseudo terminal: settings, size, data in both directions, and a child whose controlling terminal it is. */
#include "zdtm.h"

#include <sys/ioctl.h>
#include <termios.h>

int main(int argc, char **argv)
{
	struct winsize ws = { 33, 77, 5, 6 }, wsnow;
	struct termios t = {},
		       now = {}; /* they are compared with what lies between their members */
	int master, slave, n;
	char name[64], buf[64];
	struct gate g;
	pid_t pid;

	test_init(argc, argv);
	master = SYS(open("/dev/ptmx", O_RDWR | O_NOCTTY));
	SYS(grantpt(master));
	SYS(unlockpt(master));
	if (ptsname_r(master, name, sizeof(name)))
		die("ptsname");
	gate_init(&g);
	pid = test_fork();
	if (!pid) {
		close(master);
		SYS(setsid());
		slave = SYS(open(name, O_RDWR));
		SYS(tcgetattr(slave, &t));
		cfmakeraw(&t);
		t.c_cc[VINTR] = 7;
		SYS(tcsetattr(slave, TCSANOW, &t));
		SYS(ioctl(slave, TIOCSWINSZ, &ws));
		gate_open(&g);
		test_waitsig();
		CHECK(tcgetsid(slave) == getsid(0), "it is not the controlling terminal");
		CHECK(!tcgetattr(slave, &now) && !memcmp(&now, &t, sizeof(t)),
		      "the settings differ");
		n = read(slave, buf, sizeof(buf));
		CHECK(n == 5 && !memcmp(buf, "input", 5), "the slave reads %d bytes", n);
		write_all(slave, "output", 6);
		_exit(0);
	}
	gate_wait(&g);
	write_all(master, "input", 5);
	test_daemon();
	test_waitsig();
	SABOTAGE(ws.ws_row++);
	CHECK(!ioctl(master, TIOCGWINSZ, &wsnow) && !memcmp(&wsnow, &ws, sizeof(ws)),
	      "the size is %dx%d", wsnow.ws_col, wsnow.ws_row);
	test_end(pid);
	n = read(master, buf, sizeof(buf));
	CHECK(n == 6 && !memcmp(buf, "output", 6), "the master reads %d bytes", n);
	pass();
}
