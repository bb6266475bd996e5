// SPDX-License-Identifier: GPL-2.0-only
/* page-server receiving a dump: whatever comes, what it stored as complete can be read again. */
#include <dirent.h>

#include "lazy/server.h"
#include "wire.h"

/* Removes what was stored; the pagemaps of a dump that was completed must be readable. */
static void look(bool complete)
{
	DIR *d = opendir(wire_path);
	struct dirent *e;
	unsigned long id;

	if (!d)
		abort();
	while (complete && (e = readdir(d)))
		if (sscanf(e->d_name, "pagemap-%lu.img", &id) == 1) {
			struct pagemap *pm = pagemap_open(dirs.images, IMG_PAGEMAP, id);

			if (!pm)
				abort();
			pagemap_close(pm);
		}
	rewinddir(d);
	while ((e = readdir(d)))
		unlinkat(dirs.images, e->d_name, 0);
	closedir(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conn c = CONN_INIT;
	int s[2], ret;

	wire_set_up(false);
	if (size > MAX_SAY)
		return 0;
	wire_pair(s);
	wire_say(s[1], data, size);
	shutdown(s[1], SHUT_WR);
	c.fd = s[0];
	ret = page_server_receive(&c);
	conn_close(&c);
	close(s[1]);
	look(!ret);
	return 0;
}
