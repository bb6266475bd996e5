// SPDX-License-Identifier: GPL-2.0-only
/* The table of commands. */
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cpuinfo.h"
#include "image/image.h"
#include "inventory.pb-c.h"
#include "stories.h"
#include "util/dirs.h"
#include "util/log.h"

static int dump(void)
{
	if (opts.cpu_cap & CPU_CAP_IMAGE && cpuinfo_save())
		return 1;
	return cmd_dump();
}

int restore_checked(pid_t *root_pid)
{
	if (opts.cpu_cap & CPU_CAP_IMAGE && cpuinfo_check())
		return 1;
	return cmd_restore(root_pid);
}

static int restore(void)
{
	int ret;

	if (getpid() == 1 && opts.restore_detach && !cli.exec_cmd) {
		pr_err("--restore-detached: criu is the first process of its pid namespace here, "
		       "and "
		       "when that ends the kernel kills all others in it. Leave the option away: "
		       "criu then waits for the root task");
		return 1;
	}
	ret = restore_checked(NULL);
	if (ret || !cli.exec_cmd)
		return ret;
	log_finish(0);
	execvp(opts.args[0], opts.args);
	pr_perror("Can't run %s", opts.args[0]);
	return 1;
}

/* Without a checkpoint the daemon would wait for a restore that can't come. */
static int lazy_pages(void)
{
	InventoryEntry *e;
	struct image *img;

	if (opts.resume) /* a message to one that has read it */
		return cmd_lazy_pages();
	if (image_read_one(dirs.images, IMG_INVENTORY, 0, (ProtobufCMessage **)&e))
		return 1;
	inventory_entry__free_unpacked(e, NULL);
	img = image_open(dirs.images, IMG_PSTREE, 0, true);
	if (!img)
		return 1;
	image_close(img);
	return cmd_lazy_pages();
}

/* clang-format off */
const struct command commands[] = {
	{ "dump", C_DUMP, DIRS_WRITE, NULL, "checkpoint a tree of tasks, which end by it unless told otherwise", dump },
	{ "pre-dump", C_PRE_DUMP, DIRS_WRITE, NULL, "save memory while the tasks run on, and track what they write", cmd_pre_dump },
	{ "restore", C_RESTORE, DIRS_READ, "[--exec-cmd -- COMMAND]", "rebuild the tree", restore },
	{ "lazy-pages", C_LAZY, DIRS_READ, NULL, "bring a restored tree its memory on demand", lazy_pages },
	{ "page-server", C_SERVER, DIRS_READ, NULL, "receive pages of a dump into images; with --lazy-pages serve images", cmd_page_server },
	{ "check", C_CHECK, DIRS_NONE, NULL, "can this kernel do it?", cmd_check },
	{ "dedup", C_DEDUP, DIRS_WRITE, NULL, "punch pages out of parent images that a child image replaced", cmd_dedup },
	{ "cpuinfo", C_CPUINFO, DIRS_READ, "dump|check", "record the CPU's features, or compare them", cmd_cpuinfo },
	{ "service", C_SERVICE, DIRS_NONE, NULL, "the same operations over a UNIX socket (RPC)", cmd_service },
	{ "swrk", C_SWRK, DIRS_NONE, "FD", "RPC over a socket that was inherited", cmd_swrk },
	{ .name = NULL },
};
/* clang-format on */

const struct command *command_find(const char *name)
{
	for (const struct command *c = commands; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}
