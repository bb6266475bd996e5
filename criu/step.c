// SPDX-License-Identifier: GPL-2.0-only
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "op.h"
#include "util/io.h"
#include "util/log.h"

bool fault_here(const char *name, const char *when)
{
	static atomic_bool struck; /* once: a server goes on with the next client */
	const char *want = getenv("CRIU_FAULT");
	size_t len = strlen(name);

	if (!want || strncmp(want, name, len))
		return false;
	if (want[len] ? want[len] != ':' || strcmp(want + len + 1, when) : strcmp(when, "before"))
		return false;
	return !atomic_exchange(&struck, true);
}

static int fault_before(const char *story, const char *name)
{
	if (!fault_here(name, "before"))
		return 0;
	pr_err("%s: step %s fails as CRIU_FAULT asks", story, name);
	return -1;
}

static int fault_after(const char *story, const char *name)
{
	if (!fault_here(name, "after"))
		return 0;
	pr_err("%s: step %s fails after its end as CRIU_FAULT asks", story, name);
	return -1;
}

int stage_begin(const char *story, const char *name)
{
	return fault_before(story, name);
}

int stage_end(const char *story, const char *name, int ret)
{
	if (ret >= 0 && fault_after(story, name))
		ret = -1;
	pr_debug("%s: %s %s", story, name, ret < 0 ? "failed" : "done");
	return ret;
}

void fault_kill(const char *name)
{
	if (fault_here(name, "kill"))
		raise(SIGKILL);
}

static int run_one(struct op *op, const struct step *s)
{
	uint64_t start = now_us();
	int ret;

	if (fault_before(op->name, s->name))
		return -1;
	pr_debug("%s: %s", op->name, s->name);
	ret = s->run(op);
	if (!ret)
		ret = fault_after(op->name, s->name);
	fault_kill(s->name);
	pr_info("%s: %s %s in %lu us", op->name, s->name, ret ? "failed" : "done",
		now_us() - start);
	return ret;
}

static void story_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
}

void signals_release(void)
{
	sigset_t set;

	story_signals(&set);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* Somebody wants us to end: as good as a failure, so that everything is put back first. */
static bool interrupted(struct op *op)
{
	struct timespec now = { 0 };
	sigset_t set;
	int signo;

	story_signals(&set);
	signo = sigtimedwait(&set, NULL, &now);
	if (signo > 0)
		pr_err("%s: ended by a signal (%s)", op->name, strsignal(signo));
	return signo > 0;
}

int steps_run(struct op *op, const struct step *steps, unsigned nr)
{
	sigset_t set;
	unsigned i;

	story_signals(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* behind the last step it is done: too late to be interrupted */
	for (i = 0; i < nr; i++)
		if (run_one(op, &steps[i]) || (i + 1 < nr && interrupted(op)))
			break;
	if (i == nr)
		return 0;

	op->failed = true;
	for (int k = i; k >= 0; k--)
		if (steps[k].undo) {
			pr_debug("%s: undoing %s", op->name, steps[k].name);
			steps[k].undo(op);
		}
	return -1;
}
