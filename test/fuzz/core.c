// SPDX-License-Identifier: GPL-2.0-only
/* core-N.img and seccomp.img as restore reads them: checked, or refused. Two bytes say how long the first is. */
#include <fcntl.h>

#include "fuzz.h"
#include "image/image.h"
#include "op.h"
#include "task/core.h"

static char dir[] = "/dev/shm/fuzz-core-XXXXXX";
static int dir_fd;

static void clean(void)
{
	unlinkat(dir_fd, "core-1.img", 0);
	unlinkat(dir_fd, "seccomp.img", 0);
	rmdir(dir);
}

static void set_up(void)
{
	if (!mkdtemp(dir))
		abort();
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
	atexit(clean);
}

static void put(enum image_type type, const char *name, const uint8_t *data, uint32_t size)
{
	uint32_t head[3] = { IMG_COMMON_MAGIC, image_kinds[type].magic, size };
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write_full(fd, head, sizeof(head)) || write_full(fd, data, size))
		abort();
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct thread th = { .vtid = 1 };
	struct task t = { .pid = 1, .vpid = 1, .threads = &th, .nr_threads = 1, .proc = -1 };
	struct op op = { .name = "fuzz" };
	size_t len;

	log_level = LOG_SILENT;
	if (!dir_fd)
		set_up();
	if (size < 2)
		return 0;
	len = min(data[0] | (size_t)data[1] << 8, size - 2);
	op.images = dir_fd;
	put(IMG_CORE, "core-1.img", data + 2, len);
	put(IMG_SECCOMP, "seccomp.img", data + 2 + len, size - 2 - len);
	core_read(&op, &t);
	if (th.core)
		core_entry__free_unpacked(th.core, NULL);
	seccomp_free(&op);
	return 0;
}
