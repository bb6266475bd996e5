// SPDX-License-Identifier: GPL-2.0-only
#include "net/lock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/io.h"
#include "util/log.h"
#include "util/opts.h"
#include "util/xmalloc.h"

/* An IPv4 address inside IPv6 is IPv4 on the wire. */
static bool is_mapped(const uint32_t *a)
{
	return !a[0] && !a[1] && a[2] == htonl(0xffff);
}

static int wire_family(const struct connection *c)
{
	return c->family == AF_INET6 && is_mapped(c->dst) ? AF_INET : c->family;
}

struct connection network_plain(const struct connection *c)
{
	struct connection plain = *c;

	if (c->family == AF_INET6 && is_mapped(c->dst))
		plain = (struct connection){ AF_INET, c->src + 3, c->dst + 3, c->src_port,
					     c->dst_port };
	return plain;
}

static void print_address(const struct connection *c, const uint32_t *a, char buf[INET6_ADDRSTRLEN])
{
	bool mapped = c->family == AF_INET6 && wire_family(c) == AF_INET;

	inet_ntop(wire_family(c), mapped ? a + 3 : a, buf, INET6_ADDRSTRLEN);
}

#define NO_TOOL 127

static void exec_tool(char *const argv[], int input, bool quiet)
{
	int null = quiet ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;

	if (dup2(input, 0) < 0 || (null >= 0 && dup2(null, 2) < 0))
		_exit(1);
	execvp(argv[0], argv);
	_exit(errno == ENOENT ? NO_TOOL : 1);
}

/*
 * Runs a tool with TEXT as its input. MAY_FAIL: its complaints go nowhere. -2: there is no such tool, not logged. (By fork: posix_spawn() shares memory with its
 * child, which kernels before 6.3 do not allow to a restore that has unshared its time namespace.)
 */
static int run_tool(char *const argv[], const char *text, size_t len, bool may_fail)
{
	cleanup_close int input = memfd_create("rules", MFD_CLOEXEC);
	int status;
	pid_t pid;

	if (input < 0 || write_full(input, text, len) || lseek(input, 0, SEEK_SET)) {
		pr_perror("Can't write rules for %s", argv[0]);
		return -1;
	}
	pid = fork();
	if (!pid)
		exec_tool(argv, input, may_fail);
	if (pid < 0) {
		pr_perror("Can't run %s", argv[0]);
		return -1;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == NO_TOOL)
		return -2;
	if (!status || may_fail)
		return 0;
	pr_err("%s failed with status 0x%x: connections cannot be held still (--network-lock "
	       "chooses another way)",
	       argv[0], status);
	return -1;
}

static void print_iptables(FILE *f, const struct connection *c, char what)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];

	print_address(c, c->src, src);
	print_address(c, c->dst, dst);
	fprintf(f,
		"-%c INPUT -p tcp -s %s --sport %u -d %s --dport %u -m mark ! --mark 0x%x -j "
		"DROP\n",
		what, dst, c->dst_port, src, c->src_port, NETWORK_LOCK_MARK);
	fprintf(f,
		"-%c OUTPUT -p tcp -s %s --sport %u -d %s --dport %u -m mark ! --mark 0x%x -j "
		"DROP\n",
		what, src, c->src_port, dst, c->dst_port, NETWORK_LOCK_MARK);
}

static int iptables(const struct connection *c, size_t nr, int family, bool lock)
{
	char *const argv[] = { family == AF_INET6 ? "ip6tables-restore" : "iptables-restore",
			       "--noflush", "-w", NULL };
	cleanup_free char *text = NULL;
	size_t len = 0, mine = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return -1;
	fprintf(f, "*filter\n");
	for (size_t i = 0; i < nr; i++)
		if (wire_family(&c[i]) == family && ++mine)
			print_iptables(f, &c[i], lock ? 'I' : 'D');
	fprintf(f, "COMMIT\n");
	fclose(f);
	return mine ? run_tool(argv, text, len, !lock) : 0;
}

static void print_nftables(FILE *f, const struct connection *c, int id)
{
	const char *ip = wire_family(c) == AF_INET6 ? "ip6" : "ip";
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];

	print_address(c, c->src, src);
	print_address(c, c->dst, dst);
	fprintf(f,
		"add rule inet CRIU-%d input %s saddr %s tcp sport %u %s daddr %s tcp dport %u "
		"meta mark != 0x%x drop\n",
		id, ip, dst, c->dst_port, ip, src, c->src_port, NETWORK_LOCK_MARK);
	fprintf(f,
		"add rule inet CRIU-%d output %s saddr %s tcp sport %u %s daddr %s tcp dport %u "
		"meta mark != 0x%x drop\n",
		id, ip, src, c->src_port, ip, dst, c->dst_port, NETWORK_LOCK_MARK);
}

static int nftables(const struct connection *c, size_t nr, int id, bool lock)
{
	char *const argv[] = { "nft", "-f", "-", NULL };
	cleanup_free char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return -1;
	if (lock) {
		fprintf(f, "add table inet CRIU-%d\n", id);
		fprintf(f, "add chain inet CRIU-%d input { type filter hook input priority 0; }\n",
			id);
		fprintf(f,
			"add chain inet CRIU-%d output { type filter hook output priority 0; }\n",
			id);
		for (size_t i = 0; i < nr; i++)
			print_nftables(f, &c[i], id);
	} else {
		fprintf(f, "delete table inet CRIU-%d\n", id);
	}
	fclose(f);
	return run_tool(argv, text, len, !lock);
}

static int apply(const struct connection *c, size_t nr, int id, bool lock)
{
	int ret = -2;

	if (!nr || opts.network_lock == NETWORK_LOCK_SKIP)
		return 0;
	if (opts.network_lock == NETWORK_LOCK_IPTABLES) {
		ret = iptables(c, nr, AF_INET, lock);
		ret = ret ?: iptables(c, nr, AF_INET6, lock);
	}
	if (ret == -2) /* what is asked for, or what there is */
		ret = nftables(c, nr, id, lock);
	if (ret == -2)
		pr_err("Neither iptables-restore nor nft can be run: connections cannot be held "
		       "still (--network-lock skip does without)");
	return ret ? -1 : 0;
}

int network_lock(const struct connection *c, size_t nr, int id)
{
	return apply(c, nr, id, true);
}

int network_unlock(const struct connection *c, size_t nr, int id)
{
	return apply(c, nr, id, false);
}

void network_unlock_any(const struct connection *c, size_t nr, int id)
{
	iptables(c, nr, AF_INET, false);
	iptables(c, nr, AF_INET6, false);
	nftables(c, nr, id, false);
}
