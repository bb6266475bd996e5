// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "util/kernel.h"
#include "util/log.h"

static int list_features(void)
{
	for (int f = 0; f < KERNEL_FEATURES; f++)
		printf("%s%s", f ? " " : "", kernel_features[f].name);
	printf("\n");
	return 0;
}

static int check_named(void)
{
	int ret = 0;

	for (size_t i = 0; i < cli.features.nr; i++) {
		const char *name = cli.features.v[i];
		int f;

		if (!strcmp(name, "list"))
			return list_features();
		f = kernel_feature_by_name(name);
		if (f < 0) {
			pr_err("Unknown feature %s. criu check --feature list names all", name);
			return 1;
		}
		printf("%s is %ssupported\n", name, kernel_has(f) ? "" : "not ");
		ret |= !kernel_has(f);
	}
	return ret;
}

int cmd_check(void)
{
	enum kernel_need up_to = NEED_ALWAYS;
	int missing = 0;

	if (cli.features.nr)
		return check_named();
	if (geteuid()) {
		pr_err("criu needs root: run it as root");
		return 1;
	}
	if (cli.check_extra)
		up_to = NEED_EXTRA;
	if (cli.check_all || cli.check_experimental)
		up_to = NEED_NEW;
	for (int f = 0; f < KERNEL_FEATURES; f++) {
		if (kernel_features[f].need > up_to || kernel_has(f))
			continue;
		/* what is only nice to have is said, and does not count */
		if (kernel_features[f].need == NEED_NEW) {
			pr_warn("%s: not there: %s", kernel_features[f].name,
				kernel_features[f].what);
			continue;
		}
		pr_err("%s: this kernel lacks it, or does not permit it: %s",
		       kernel_features[f].name, kernel_features[f].what);
		missing++;
	}
	printf(missing ? "Does not look good: %d missing.\n" : "Looks good.\n", missing);
	return missing ? 1 : 0;
}
