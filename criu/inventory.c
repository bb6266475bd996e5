// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include "inventory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "image/image.h"
#include "inventory.pb-c.h"
#include "timens.pb-c.h"
#include "util/io.h"
#include "util/log.h"

/* A number for this run, as a UUID: which criu made the images. */
static void make_run_id(char id[40])
{
	cleanup_free char *text = read_file_at(AT_FDCWD, "/proc/sys/kernel/random/uuid", NULL);

	if (text)
		snprintf(id, 40, "%.*s", (int)strcspn(text, "\n"), text);
}

static uint64_t uptime_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now); /* as the start times of tasks in /proc/PID/stat */
	return now.tv_sec * 1000000UL + now.tv_nsec / 1000;
}

int inventory_write(struct op *op)
{
	InventoryEntry e = INVENTORY_ENTRY__INIT;
	TaskKobjIdsEntry ids = *op->root->ids;
	PluginsEntry plugins = PLUGINS_ENTRY__INIT;

	/* criu's own objects are number 1 of their kinds; namespaces are numbered with the tasks' */
	ids.vm_id = ids.files_id = ids.fs_id = ids.sighand_id = 1;
	e.img_version = IMG_VERSION;
	e.has_fdinfo_per_id = e.fdinfo_per_id = true;
	e.has_ns_per_id = e.ns_per_id = true;
	e.root_ids = &ids;
	e.has_lsmtype = true;
	e.lsmtype = LSMTYPE__NO_LSM;
	e.has_network_lock_method = true;
	e.plugins_entry = &plugins;
	make_run_id(op->run_id);
	e.dump_criu_run_id = op->run_id;
	/* a server that drops the hello is then not taken for one that does not know it */
	e.has_serves_extended = e.serves_extended = opts.lazy_pages;
	/* for the next link: tasks that are younger were not in this one */
	e.has_dump_uptime = opts.track_mem;
	e.dump_uptime = uptime_us();
	return image_write_one(op->images, IMG_INVENTORY, 0, &e.base);
}

void inventory_remove(struct op *op)
{
	if (unlinkat(op->images, "inventory.img", 0) && errno != ENOENT)
		pr_warn("Can't remove inventory.img: %s", strerror(errno));
}

/* cpuinfo.img is of a command of its own; statistics and irmap-cache are of no dump's tasks */
static bool is_of_a_dump(const char *name)
{
	unsigned long id;
	int type = image_type_by_name(name, &id);

	return type >= 0 && type != IMG_CPUINFO && type != IMG_STATS && type != IMG_IRMAP_CACHE;
}

int inventory_clear(struct op *op)
{
	int fd = openat(op->images, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_closedir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		pr_perror("Can't list the images directory");
		close_safe(&fd);
		return -1;
	}
	inventory_remove(op); /* first: what is left by who is killed here is no checkpoint */
	while ((e = readdir(d)))
		if (is_of_a_dump(e->d_name) && unlinkat(op->images, e->d_name, 0) &&
		    errno != ENOENT) {
			pr_perror("Can't remove %s of an older dump from the images directory",
				  e->d_name);
			return -1;
		}
	return 0;
}

int inventory_check(struct op *op)
{
	InventoryEntry *e;
	int ret = -1;

	if (image_read_one(op->images, IMG_INVENTORY, 0, (ProtobufCMessage **)&e))
		return -1;
	if (e->img_version < 1 || e->img_version > IMG_VERSION)
		pr_err("inventory.img: images of version %u; this program reads 1 and 2",
		       e->img_version);
	else if (!e->has_fdinfo_per_id || !e->fdinfo_per_id || !e->has_ns_per_id || !e->ns_per_id)
		pr_err("inventory.img: the images are of an old layout (before fdinfo_per_id and "
		       "ns_per_id)");
	else if (e->has_lsmtype && e->lsmtype != LSMTYPE__NO_LSM)
		pr_err("inventory.img: the tasks had profiles of a security module: not supported");
	else
		ret = 0;
	inventory_entry__free_unpacked(e, NULL);
	return ret;
}

int inventory_link(int dir, struct link_info *link)
{
	InventoryEntry *e;

	if (image_read_one(dir, IMG_INVENTORY, 0, (ProtobufCMessage **)&e))
		return -1;
	*link = (struct link_info){ .uptime_us = e->has_dump_uptime ? e->dump_uptime : 0,
				    .serves_extended = e->serves_extended };
	snprintf(link->run_id, sizeof(link->run_id), "%s", e->dump_criu_run_id ?: "");
	inventory_entry__free_unpacked(e, NULL);
	return 0;
}

/* 0: found */
static int link_if_any(int dir, struct link_info *link)
{
	return faccessat(dir, "inventory.img", R_OK, 0) || inventory_link(dir, link);
}

bool inventory_serves_extended(int dir)
{
	struct link_info link;

	return !link_if_any(dir, &link) && link.serves_extended;
}

uint64_t inventory_run(int dir)
{
	uint64_t hash = 0xcbf29ce484222325ULL; /* FNV-1a */
	struct link_info link;

	if (link_if_any(dir, &link) || !link.run_id[0])
		return 0;
	for (const char *c = link.run_id; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 0x100000001b3ULL;
	return hash;
}

/* ---- clocks ---- */

#define NSEC 1000000000L

static struct timespec ts_add(struct timespec a, struct timespec b, int sign)
{
	struct timespec r = { a.tv_sec + sign * b.tv_sec, a.tv_nsec + sign * b.tv_nsec };

	if (r.tv_nsec >= NSEC)
		r.tv_sec++, r.tv_nsec -= NSEC;
	if (r.tv_nsec < 0)
		r.tv_sec--, r.tv_nsec += NSEC;
	return r;
}

/* Offsets of a time namespace: /proc/PID/timens_offsets (time_namespaces(7)). */
static int read_offsets(int proc, struct timespec *mono, struct timespec *boot)
{
	cleanup_free char *text = read_file_at(proc, "timens_offsets", NULL);
	long sec, nsec;
	char name[32], *line;

	*mono = *boot = (struct timespec){ 0 };
	if (!text)
		return errno == ENOENT ? 0 : -1;
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (sscanf(line, "%31s %ld %ld", name, &sec, &nsec) == 3) {
			if (!strcmp(name, "monotonic"))
				*mono = (struct timespec){ sec, nsec };
			else if (!strcmp(name, "boottime"))
				*boot = (struct timespec){ sec, nsec };
		}
	return 0;
}

int timens_dump(struct op *op)
{
	struct timespec mono, boot, own_mono, own_boot;
	TimensEntry e = TIMENS_ENTRY__INIT;
	Timespec m = TIMESPEC__INIT, b = TIMESPEC__INIT;
	cleanup_close int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (self < 0 || read_offsets(op->root->proc, &mono, &boot) ||
	    read_offsets(self, &own_mono, &own_boot)) {
		pr_perror("Can't read the time namespace of task %d", op->root->pid);
		return -1;
	}
	clock_gettime(CLOCK_MONOTONIC, &op->monotonic);
	clock_gettime(CLOCK_BOOTTIME, &op->boottime);
	op->monotonic = ts_add(ts_add(op->monotonic, mono, 1), own_mono, -1);
	op->boottime = ts_add(ts_add(op->boottime, boot, 1), own_boot, -1);
	m.tv_sec = op->monotonic.tv_sec;
	m.tv_nsec = op->monotonic.tv_nsec;
	b.tv_sec = op->boottime.tv_sec;
	b.tv_nsec = op->boottime.tv_nsec;
	e.monotonic = &m;
	e.boottime = &b;
	return image_write_one(op->images, IMG_TIMENS, 0, &e.base);
}

static int write_offsets(const TimensEntry *e)
{
	struct timespec now_m, now_b, off_m, off_b;
	cleanup_close int fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	char text[160];
	int len;

	if (fd < 0) {
		pr_perror("Can't open /proc/self/timens_offsets");
		return -1;
	}
	clock_gettime(CLOCK_MONOTONIC, &now_m);
	clock_gettime(CLOCK_BOOTTIME, &now_b);
	off_m = ts_add((struct timespec){ e->monotonic->tv_sec, e->monotonic->tv_nsec }, now_m, -1);
	off_b = ts_add((struct timespec){ e->boottime->tv_sec, e->boottime->tv_nsec }, now_b, -1);
	len = snprintf(text, sizeof(text), "monotonic %ld %ld\nboottime %ld %ld\n", off_m.tv_sec,
		       off_m.tv_nsec, off_b.tv_sec, off_b.tv_nsec);
	if (write_full(fd, text, len)) {
		pr_perror("Can't set the clocks of the time namespace");
		return -1;
	}
	return 0;
}

int timens_restore(struct op *op)
{
	TimensEntry *e;
	cleanup_image struct image *img = image_open(op->images, IMG_TIMENS, 0, false);
	int ret;

	if (!img)
		return errno == ENOENT ? 0 : -1;
	ret = image_read_as(img, &e);
	if (ret <= 0)
		return ret;
	/* offsets are relative to the initial namespace's clocks: criu may live in another one itself, and then adds its own */
	if (unshare(CLONE_NEWTIME)) {
		pr_warn("Can't make a time namespace (%s): the monotonic clocks of the tasks jump "
			"to this host's",
			strerror(errno));
		ret = 0;
	} else {
		ret = write_offsets(e);
	}
	timens_entry__free_unpacked(e, NULL);
	return ret;
}
