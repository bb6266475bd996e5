// SPDX-License-Identifier: GPL-2.0-only
/*
 * Credentials of a thread: user and group ids, supplementary groups, capabilities, securebits, no_new_privs
 * (credentials(7), capabilities(7)). The kernel has them per thread, and so do the images.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "task/parts.h"
#include "util/log.h"
#include "util/xmalloc.h"

#define CAP_WORDS _LINUX_CAPABILITY_U32S_3

static int dump_caps(size_t *nr, uint32_t **words, uint64_t caps)
{
	*words = xcalloc(CAP_WORDS, sizeof(**words));
	if (!*words)
		return -1;
	(*words)[0] = caps;
	(*words)[1] = caps >> 32;
	*nr = CAP_WORDS;
	return 0;
}

int creds_dump(struct part *w)
{
	const struct proc_status *st = w->status;
	CredsEntry *c;

	if (!PB_NEW(c, creds_entry__init))
		return -1;
	w->th->core->thread_core->creds = c;
	c->uid = st->uid[0];
	c->euid = st->uid[1];
	c->suid = st->uid[2];
	c->fsuid = st->uid[3];
	c->gid = st->gid[0];
	c->egid = st->gid[1];
	c->sgid = st->gid[2];
	c->fsgid = st->gid[3];
	if (dump_caps(&c->n_cap_inh, &c->cap_inh, st->cap_inh) ||
	    dump_caps(&c->n_cap_prm, &c->cap_prm, st->cap_prm) ||
	    dump_caps(&c->n_cap_eff, &c->cap_eff, st->cap_eff) ||
	    dump_caps(&c->n_cap_bnd, &c->cap_bnd, st->cap_bnd) ||
	    dump_caps(&c->n_cap_amb, &c->cap_amb, st->cap_amb))
		return -1;
	c->secbits = prog_ret(w->p, w->securebits_call);
	if (st->no_new_privs) {
		c->has_no_new_privs = true;
		c->no_new_privs = st->no_new_privs;
	}
	if (!st->nr_groups)
		return 0;
	c->groups = xcalloc(st->nr_groups, sizeof(*c->groups));
	if (!c->groups)
		return -1;
	memcpy(c->groups, st->groups, st->nr_groups * sizeof(*c->groups));
	c->n_groups = st->nr_groups;
	return 0;
}

static uint64_t caps(size_t nr, const uint32_t *words)
{
	return (nr > 0 ? words[0] : 0) | (nr > 1 ? (uint64_t)words[1] << 32 : 0);
}
#define CAPS(c, set) caps((c)->n_cap_##set, (c)->cap_##set)

int creds_check(const CoreEntry *core)
{
	const CredsEntry *c = core->thread_core->creds;

	if (!c) {
		pr_err("core image has no credentials");
		return -1;
	}
	if (c->n_groups > 65536) {
		pr_err("core image has %zu supplementary groups; 65536 are possible", c->n_groups);
		return -1;
	}
	return 0;
}

static bool same_ids(const CredsEntry *c, const struct proc_status *now)
{
	const uint32_t uid[] = { c->uid, c->euid, c->suid, c->fsuid };
	const uint32_t gid[] = { c->gid, c->egid, c->sgid, c->fsgid };

	return !memcmp(uid, now->uid, sizeof(uid)) && !memcmp(gid, now->gid, sizeof(gid));
}

static bool same_groups(const CredsEntry *c, const struct proc_status *now)
{
	return c->n_groups == now->nr_groups &&
	       (!c->n_groups || !memcmp(c->groups, now->groups, c->n_groups * sizeof(*c->groups)));
}

static int restore_groups(struct part *w, const CredsEntry *c)
{
	size_t len = c->n_groups * sizeof(*c->groups);

	if (same_groups(c, w->status))
		return 0;
	if (part_room(w, 1, len))
		return -1;
	prog_add(w->p, RC_STOP, __NR_setgroups, c->n_groups,
		 len ? prog_buf(w->p, c->groups, len) : 0);
	return 0;
}

static void capset(struct puppet *p, uint64_t prm, uint64_t eff, uint64_t inh)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[CAP_WORDS];
	uint64_t header = prog_buf(p, &h, sizeof(h));

	for (int i = 0; i < CAP_WORDS; i++) {
		d[i].permitted = prm >> 32 * i;
		d[i].effective = eff >> 32 * i;
		d[i].inheritable = inh >> 32 * i;
	}
	prog_add(p, RC_STOP, __NR_capset, header, prog_buf(p, d, sizeof(d)));
}

static void for_each_cap(struct puppet *p, uint64_t set, int option, int sub)
{
	for (int cap = 0; cap < 64; cap++)
		if (set >> cap & 1) {
			if (sub)
				prog_add(p, RC_STOP, __NR_prctl, option, sub, cap, 0, 0);
			else
				prog_add(p, RC_STOP, __NR_prctl, option, cap, 0, 0, 0);
		}
}

/* Capabilities that we do not have ourselves cannot be given: SET without them, with a warning. */
static uint64_t available(struct part *w, const char *what, uint64_t set, uint64_t have)
{
	if (set & ~have)
		pr_warn("task %d, thread %d: %s capabilities 0x%lx are not ours to give; it goes "
			"on without them",
			w->t->vpid, w->th->vtid, what, set & ~have);
	return set & have;
}

/* The order matters: each line may need capabilities that a later one takes away. */
static void restore_caps(struct part *w, const CredsEntry *c, int securebits)
{
	const struct proc_status *now = w->status;
	uint64_t prm = available(w, "permitted", CAPS(c, prm), now->cap_prm);
	uint64_t bnd = available(w, "bounding", CAPS(c, bnd), now->cap_bnd);
	uint64_t inh = CAPS(c, inh) & (now->cap_inh | now->cap_bnd),
		 amb = CAPS(c, amb) & inh & now->cap_prm;

	if (now->cap_inh != inh)
		capset(w->p, now->cap_prm, now->cap_prm, inh | amb);
	if (now->cap_amb)
		prog_add(w->p, RC_STOP, __NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0,
			 0);
	for_each_cap(w->p, amb, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE);
	for_each_cap(w->p, now->cap_bnd & ~bnd, PR_CAPBSET_DROP, 0);
	if (securebits != (int)c->secbits)
		prog_add(w->p, RC_STOP, __NR_prctl, PR_SET_SECUREBITS, c->secbits, 0, 0, 0);
	capset(w->p, prm, CAPS(c, eff) & prm, inh);
}

static bool same_caps(const CredsEntry *c, const struct proc_status *now)
{
	return CAPS(c, inh) == now->cap_inh && CAPS(c, prm) == now->cap_prm &&
	       CAPS(c, eff) == now->cap_eff && CAPS(c, bnd) == now->cap_bnd &&
	       CAPS(c, amb) == now->cap_amb;
}

int creds_restore_late(struct part *w)
{
	const CredsEntry *c = w->th->core->thread_core->creds;
	bool ids = !same_ids(c, w->status);
	int securebits = prctl(PR_GET_SECUREBITS); /* a puppet has ours */

	if (restore_groups(w, c) || part_room(w, 192, 256))
		return -1;
	if (ids) {
		/* capabilities stay as they are while ids change */
		securebits |= SECBIT_NO_SETUID_FIXUP;
		prog_add(w->p, RC_STOP, __NR_prctl, PR_SET_SECUREBITS, securebits, 0, 0, 0);
		prog_add(w->p, RC_STOP, __NR_setresgid, c->gid, c->egid, c->sgid);
		prog_add(w->p, RC_STOP, __NR_setfsgid, c->fsgid);
		prog_add(w->p, RC_STOP, __NR_setresuid, c->uid, c->euid, c->suid);
		prog_add(w->p, RC_STOP, __NR_setfsuid, c->fsuid);
	}
	if (ids || !same_caps(c, w->status) || securebits != (int)c->secbits)
		restore_caps(w, c, securebits);
	if (c->no_new_privs)
		prog_add(w->p, RC_STOP, __NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return 0;
}
