// SPDX-License-Identifier: GPL-2.0-only
/* A filter that was installed with privilege, by a task that then gave its privileges away without no_new_privs. */
#include "zdtm.h"

#include <linux/filter.h>
#include <linux/seccomp.h>

int main(int argc, char **argv)
{
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setresuid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 66),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_LEN(insns), insns };

	test_init(argc, argv);
	SYS(setgid(18943));
	SYS(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
	SYS(setuid(18943));
	/* permitted ones are kept: CAP_SYS_ADMIN allows the filter; an effective set without it comes after */
	{
		struct {
			uint32_t version;
			int pid;
		} header = { 0x20080522, 0 };
		uint32_t caps[6] = { 1 << 21, 1 << 21, 0, 0, 0, 0 };

		SYS(syscall(SYS_capset, &header, caps));
		SYS(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog));
		memset(caps, 0, sizeof(caps));
		SYS(syscall(SYS_capset, &header, caps));
	}
	test_daemon();
	test_waitsig();
	SABOTAGE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	errno = 0;
	if (!syscall(SYS_setresuid, -1, -1, -1) || errno != 66)
		fail("the filter is lost");
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0, "it has got no_new_privs");
	CHECK(getuid() == 18943 && geteuid() == 18943, "uid %d", getuid());
	pass();
}
