// SPDX-License-Identifier: GPL-2.0-only
/* A POSIX message queue: dump must name it, and not take it for a file, and leave it unharmed. */
#include "zdtm.h"

#include <mqueue.h>

int main(int argc, char **argv)
{
	struct mq_attr attr = { .mq_maxmsg = 4, .mq_msgsize = 16 };
	char buf[16] = "";
	mqd_t q;

	test_init(argc, argv);
	q = mq_open("/zdtm-queue", O_CREAT | O_RDWR, 0600, &attr);
	if (q < 0)
		skip("no message queues");
	mq_unlink("/zdtm-queue");
	SYS(mq_send(q, "word", 5, 1));
	test_daemon();
	test_waitsig();
	CHECK(mq_receive(q, buf, sizeof(buf), NULL) == 5 && !strcmp(buf, "word"), "it says %s",
	      buf);
	pass();
}
