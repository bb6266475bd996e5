// SPDX-License-Identifier: GPL-2.0-only
/*
 * timerfd_create(2): a timer. Message: timerfd_entry. The kernel always tells the time that remains; an absolute timer is set
 * again at "now and that much", by the clock that criu sees.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <time.h>

#include "files/kinds.h"
#include "util/log.h"

#ifndef TFD_IOC_SET_TICKS
#define TFD_IOC_SET_TICKS _IOW('T', 0, uint64_t)
#endif

static bool timerfd_recognise(const struct fd_probe *p)
{
	return !strcmp(p->link, "anon_inode:[timerfd]");
}

static bool parse_pair(const char *fdinfo, const char *key, uint64_t *sec, uint64_t *nsec)
{
	const char *s = fdinfo_field(fdinfo, key);

	return s && sscanf(s, "(%lu, %lu)", sec, nsec) == 2;
}

static int timerfd_dump(struct op *op, const struct fd_probe *p, struct file *f)
{
	TimerfdEntry *e = f->entry->tfd = NEW_MSG(TimerfdEntry, timerfd_entry);
	uint64_t clockid, settime_flags;

	if (!e || !(e->fown = fown_dump(p)))
		return -1;
	if (!fdinfo_number(p->fdinfo, "clockid", 10, &clockid) ||
	    !fdinfo_number(p->fdinfo, "ticks", 10, &e->ticks) ||
	    !fdinfo_number(p->fdinfo, "settime flags", 8, &settime_flags) ||
	    !parse_pair(p->fdinfo, "it_value", &e->vsec, &e->vnsec) ||
	    !parse_pair(p->fdinfo, "it_interval", &e->isec, &e->insec)) {
		pr_err("Can't understand the timer of %s", probe_name(p));
		return -1;
	}
	e->id = f->id;
	e->flags = p->flags;
	e->clockid = clockid;
	e->settime_flags = settime_flags;
	return 0;
}

static int expire(int fd, struct itimerspec *its)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	its->it_value.tv_nsec = 1;
	if (timerfd_settime(fd, 0, its, NULL))
		return -1;
	return poll(&p, 1, 1000) == 1 ? 0 : -1;
}

static int set_timer(const TimerfdEntry *e, int fd)
{
	struct itimerspec its = { { e->isec, e->insec }, { e->vsec, e->vnsec } };
	struct timespec now;

	if (!e->vsec && !e->vnsec) {
		/* disarmed, or expired. A periodic one that expired starts its next period when it is read: it has to expire again */
		if (e->ticks && (e->isec || e->insec))
			return expire(fd, &its);
		return timerfd_settime(fd, 0, &its, NULL);
	}
	if (e->settime_flags & TFD_TIMER_ABSTIME) {
		if (clock_gettime(e->clockid, &now))
			return -1;
		its.it_value.tv_sec += now.tv_sec;
		its.it_value.tv_nsec += now.tv_nsec;
		if (its.it_value.tv_nsec >= 1000000000L) {
			its.it_value.tv_sec++;
			its.it_value.tv_nsec -= 1000000000L;
		}
	}
	return timerfd_settime(fd, e->settime_flags, &its, NULL);
}

static int timerfd_open(struct op *op, struct file *f)
{
	TimerfdEntry *e = f->entry->tfd;

	f->fd = timerfd_create(e->clockid, TFD_CLOEXEC);
	if (f->fd < 0 || set_timer(e, f->fd) ||
	    (e->ticks && ioctl(f->fd, TFD_IOC_SET_TICKS, &e->ticks))) {
		pr_perror("Can't make timerfd %u (clock %u)", f->id, e->clockid);
		return -1;
	}
	return fd_restore_flags(f->fd, e->flags);
}

const struct file_kind timerfd_kind = {
	.name = "timerfd",
	.type = FD_TYPES__TIMERFD,
	.recognise = timerfd_recognise,
	.dump = timerfd_dump,
	.open = timerfd_open,
	.finish = fown_finish,
};
