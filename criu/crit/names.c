// SPDX-License-Identifier: GPL-2.0-only
/* Names of flags and values, and the conversions that use them. */
#include "names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

static const struct value_name mmap_prot[] = {
	{ "PROT_READ", 1 }, { "PROT_WRITE", 2 }, { "PROT_EXEC", 4 }, { NULL, 0 }
};

static const struct value_name mmap_flags[] = { { "MAP_SHARED", 1 },
						{ "MAP_PRIVATE", 2 },
						{ "MAP_ANON", 0x20 },
						{ "MAP_GROWSDOWN", 0x100 },
						{ NULL, 0 } };

static const struct value_name mmap_status[] = {
	{ "VMA_AREA_REGULAR", 1 },	 { "VMA_AREA_STACK", 2 },
	{ "VMA_AREA_VSYSCALL", 4 },	 { "VMA_AREA_VDSO", 8 },
	{ "VMA_AREA_HEAP", 0x20 },	 { "VMA_FILE_PRIVATE", 0x40 },
	{ "VMA_FILE_SHARED", 0x80 },	 { "VMA_ANON_SHARED", 0x100 },
	{ "VMA_ANON_PRIVATE", 0x200 },	 { "VMA_AREA_SYSVIPC", 0x400 },
	{ "VMA_AREA_SOCKET", 0x800 },	 { "VMA_AREA_VVAR", 0x1000 },
	{ "VMA_AREA_AIORING", 0x2000 },	 { "VMA_AREA_MEMFD", 0x4000 },
	{ "VMA_AREA_SHSTK", 0x8000 },	 { "VMA_AREA_GUARD", 0x10000 },
	{ "VMA_AREA_UPROBES", 0x20000 }, { NULL, 0 }
};

/* open(2) on x86; O_RDONLY is nothing, so it has no name */
static const struct value_name rfile_flags[] = {
	{ "O_WRONLY", 01 },	    { "O_RDWR", 02 },	       { "O_CREAT", 0100 },
	{ "O_EXCL", 0200 },	    { "O_NOCTTY", 0400 },      { "O_TRUNC", 01000 },
	{ "O_APPEND", 02000 },	    { "O_NONBLOCK", 04000 },   { "O_DSYNC", 010000 },
	{ "FASYNC", 020000 },	    { "O_DIRECT", 040000 },    { "O_LARGEFILE", 0100000 },
	{ "O_DIRECTORY", 0200000 }, { "O_NOFOLLOW", 0400000 }, { "O_NOATIME", 01000000 },
	{ "O_CLOEXEC", 02000000 },  { "O_PATH", 010000000 },   { NULL, 0 }
};

/* fcntl(2), F_ADD_SEALS */
static const struct value_name seals_flags[] = { { "F_SEAL_SEAL", 1 },
						 { "F_SEAL_SHRINK", 2 },
						 { "F_SEAL_GROW", 4 },
						 { "F_SEAL_WRITE", 8 },
						 { "F_SEAL_FUTURE_WRITE", 0x10 },
						 { "F_SEAL_EXEC", 0x20 },
						 { NULL, 0 } };

static const struct value_name pmap_flags[] = {
	{ "PE_PARENT", 1 }, { "PE_LAZY", 2 }, { "PE_PRESENT", 4 }, { NULL, 0 }
};

/* 2, a zombie, is shown as a number: CRIU's crit has no name for it */
static const struct value_name task_state[] = { { "Alive", 1 }, { "Stopped", 3 }, { NULL, 0 } };

static const struct value_name sk_family[] = { { "UNIX", 1 },	  { "INET", 2 },    { "INET6", 10 },
					       { "NETLINK", 16 }, { "PACKET", 17 }, { NULL, 0 } };
static const struct value_name sk_type[] = { { "STREAM", 1 },	 { "DGRAM", 2 },   { "RAW", 3 },
					     { "SEQPACKET", 5 }, { "PACKET", 10 }, { NULL, 0 } };
/* include/net/tcp_states.h of the kernel */
static const struct value_name sk_state[] = {
	{ "ESTABLISHED", 1 }, { "SYN_SENT", 2 },  { "SYN_RECV", 3 }, { "FIN_WAIT1", 4 },
	{ "FIN_WAIT2", 5 },   { "TIME_WAIT", 6 }, { "CLOSE", 7 },    { "CLOSE_WAIT", 8 },
	{ "LAST_ACK", 9 },    { "LISTEN", 10 },	  { "CLOSING", 11 }, { NULL, 0 }
};
static const struct value_name sk_proto[] = { { "IP", 0 },   { "ICMP", 1 },	 { "TCP", 6 },
					      { "UDP", 17 }, { "UDPLITE", 136 }, { NULL, 0 } };

static const struct {
	const char *hint, *field;
	const struct value_name *names;
} tables[] = {
	{ "mmap.prot", NULL, mmap_prot },
	{ "mmap.flags", NULL, mmap_flags },
	{ "mmap.status", NULL, mmap_status },
	{ "rfile.flags", NULL, rfile_flags },
	{ "seals.flags", NULL, seals_flags },
	{ "pmap.flags", NULL, pmap_flags },
	{ "gen", "task_state", task_state },
	{ "sk", "family", sk_family },
	{ "sk", "type", sk_type },
	{ "sk", "state", sk_state },
	{ "sk", "proto", sk_proto },
};

const struct value_name *names_for(const char *hint, const char *field)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (!strcmp(tables[i].hint, hint) &&
		    (!tables[i].field || !strcmp(tables[i].field, field)))
			return tables[i].names;
	return NULL;
}

void flags_to_text(const struct value_name *names, uint64_t v, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = 0;
	for (; names->name; names++) {
		if (!(v & names->value) || len >= size)
			continue;
		len += snprintf(buf + len, size - len, "%s%s", len ? " | " : "", names->name);
		v &= ~(uint64_t)names->value;
	}
	if (v && len < size)
		snprintf(buf + len, size - len, "%s0x%lx", len ? " | " : "", v);
}

static bool one_flag(const struct value_name *names, const char *s, size_t len, uint64_t *v)
{
	char num[24], *end;

	for (; names->name; names++)
		if (strlen(names->name) == len && !memcmp(names->name, s, len)) {
			*v |= names->value;
			return true;
		}
	if (!len || len >= sizeof(num))
		return false;
	memcpy(num, s, len);
	num[len] = 0;
	*v |= strtoull(num, &end, 0);
	return !*end && num[0] >= '0' && num[0] <= '9';
}

bool flags_from_text(const struct value_name *names, const char *text, uint64_t *v)
{
	*v = 0;
	text += strspn(text, " ");
	while (*text) {
		size_t len = strcspn(text, " |");

		if (!one_flag(names, text, len, v))
			return false;
		text += len;
		text += strspn(text, " |");
	}
	return true;
}

const char *dict_name(const struct value_name *dict, uint64_t v)
{
	for (; dict->name; dict++)
		if (dict->value == v)
			return dict->name;
	return NULL;
}

bool dict_value(const struct value_name *dict, const char *name, uint64_t *v)
{
	for (; dict->name; dict++)
		if (!strcmp(dict->name, name)) {
			*v = dict->value;
			return true;
		}
	return false;
}

/* The kernel's own encoding has 20 bits of minor; stat's spreads them (makedev(3)). */
void dev_to_text(bool odev, uint64_t v, char *buf, size_t size)
{
	if (odev)
		snprintf(buf, size, "%u:%u", major(v), minor(v));
	else
		snprintf(buf, size, "%lu:%lu", v >> 20, v & 0xfffff);
}

bool dev_from_text(bool odev, const char *text, uint64_t *v)
{
	unsigned long major_nr, minor_nr;
	char more;

	if (sscanf(text, "%lu:%lu%c", &major_nr, &minor_nr, &more) != 2)
		return false;
	if (!odev && minor_nr > 0xfffff)
		return false;
	*v = odev ? makedev(major_nr, minor_nr) : major_nr << 20 | minor_nr;
	return true;
}
