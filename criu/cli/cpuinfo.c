// SPDX-License-Identifier: GPL-2.0-only
#include "cpuinfo.h"

#include <sys/stat.h>

#include "cli/cli.h"
#include "image/image.h"
#include "util/dirs.h"
#include "util/log.h"

int cpuinfo_save(void)
{
	CpuinfoEntry *here = cpuinfo_here();
	int ret = here ? image_write_one(dirs.images, IMG_CPUINFO, 0, &here->base) : -1;

	if (here)
		cpuinfo_entry__free_unpacked(here, NULL);
	return ret;
}

int cpuinfo_check(void)
{
	CpuinfoEntry *image, *here;
	int ret = -1;

	if (image_read_one(dirs.images, IMG_CPUINFO, 0, (ProtobufCMessage **)&image))
		return -1;
	here = cpuinfo_here();
	if (here) {
		ret = cpuinfo_compare(image, here, opts.cpu_cap);
		cpuinfo_entry__free_unpacked(here, NULL);
	}
	cpuinfo_entry__free_unpacked(image, NULL);
	return ret;
}

int cmd_cpuinfo(void)
{
	const char *what = opts.nr_args ? opts.args[0] : "";

	if (!strcmp(what, "dump"))
		return cpuinfo_save() ? 1 : 0;
	if (!strcmp(what, "check"))
		return cpuinfo_check() ? 1 : 0;
	pr_err("cpuinfo: dump or check? (criu cpuinfo dump, criu cpuinfo check)");
	return 1;
}
