// SPDX-License-Identifier: GPL-2.0-only
/* Image files: round trips, and every way in which a file can be damaged. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "cgroup.pb-c.h"
#include "fdinfo.pb-c.h"
#include "image/depth.h"
#include "image/image.h"
#include "inventory.pb-c.h"
#include "mm.pb-c.h"
#include "pagemap.pb-c.h"
#include "pipe-data.pb-c.h"
#include "stats.pb-c.h"
#include "util/io.h"
#include "util/log.h"
#include "util/xmalloc.h"

static char dir[] = "/tmp/image-test-XXXXXX";
static int dirfd_;

static int setup(void **state)
{
	log_level = LOG_SILENT;
	if (!mkdtemp(dir))
		return -1;
	dirfd_ = open(dir, O_DIRECTORY | O_RDONLY);
	return dirfd_ < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	close(dirfd_);
	return rmdir(dir); /* every test takes its files away */
}

static void make(const char *name, const void *buf, size_t len)
{
	int fd = openat(dirfd_, name, O_CREAT | O_TRUNC | O_WRONLY, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write_full(fd, buf, len), 0);
	close(fd);
}

static void gone(const char *name)
{
	assert_int_equal(unlinkat(dirfd_, name, 0), 0);
}

static void write_pipes(unsigned nr, uint32_t bytes)
{
	struct image *img = image_create(dirfd_, IMG_PIPES_DATA, 0);
	char buf[256];

	assert_non_null(img);
	memset(buf, 'x', sizeof(buf));
	for (unsigned i = 0; i < nr; i++) {
		PipeDataEntry e = PIPE_DATA_ENTRY__INIT;

		e.pipe_id = i;
		e.bytes = bytes;
		assert_int_equal(image_write(img, &e.base), 0);
		assert_int_equal(image_write_raw(img, buf, bytes), 0);
	}
	assert_int_equal(image_close(img), 0);
}

static void entries_with_raw_bytes(void **state)
{
	struct image *img;
	PipeDataEntry *e;
	char buf[256];
	int ret;

	write_pipes(5000, 100); /* more than the buffer holds */
	img = image_open(dirfd_, IMG_PIPES_DATA, 0, true);
	assert_non_null(img);
	for (unsigned i = 0; i < 5000; i++) {
		assert_int_equal(image_read_as(img, &e), 1);
		assert_int_equal(e->pipe_id, i);
		assert_int_equal(image_read_raw(img, buf, e->bytes), 0);
		assert_true(buf[0] == 'x' && buf[99] == 'x');
		pipe_data_entry__free_unpacked(e, NULL);
	}
	assert_int_equal(image_bytes_left(img), 0);
	ret = image_read_as(img, &e);
	assert_int_equal(ret, 0); /* the end, exactly at a boundary */
	image_close(img);
	gone("pipes-data.img");
}

/* Every length a file can be cut to gives either fewer whole entries or an error, never an entry. */
static void cut_anywhere(void **state)
{
	cleanup_free char *buf = NULL;
	unsigned boundaries = 0;
	size_t len;

	write_pipes(3, 10);
	buf = read_file_at(dirfd_, "pipes-data.img", &len);
	assert_non_null(buf);
	for (size_t cut = 0; cut < len; cut++) {
		struct image *img;
		PipeDataEntry *e;
		char raw[10];
		int ret = -1;

		make("pipes-data.img", buf, cut);
		img = image_open(dirfd_, IMG_PIPES_DATA, 0, true);
		if (cut < 8) {
			assert_null(img);
			continue;
		}
		assert_non_null(img);
		while ((ret = image_read_as(img, &e)) == 1) {
			ret = image_read_raw(img, raw, e->bytes);
			pipe_data_entry__free_unpacked(e, NULL);
			if (ret)
				break;
		}
		boundaries += !ret;
		image_close(img);
	}
	assert_int_equal(boundaries, 3); /* after 0, 1 and 2 entries */
	gone("pipes-data.img");
}

static void oversized_entry(void **state)
{
	uint32_t f[3] = { IMG_COMMON_MAGIC, image_kinds[IMG_MM].magic, 0xffffffff };
	ProtobufCMessage *m;
	struct image *img;

	make("mm-7.img", f, sizeof(f));
	img = image_open(dirfd_, IMG_MM, 7, true);
	assert_non_null(img);
	assert_int_equal(image_read(img, &m), -1);
	assert_null(m);
	image_close(img);
	assert_int_equal(image_read_one(dirfd_, IMG_MM, 7, &m), -1);
	gone("mm-7.img");
}

static void oversized_entry_from_a_pipe(void **state)
{
	uint32_t f[3] = { IMG_COMMON_MAGIC, image_kinds[IMG_MM].magic, 0x7fffffff };
	enum image_type type;
	ProtobufCMessage *m;
	struct image *img;
	int p[2];

	assert_int_equal(pipe(p), 0);
	assert_int_equal(write_full(p[1], f, sizeof(f)), 0);
	close(p[1]);
	img = image_open_fd(p[0], "pipe", &type);
	assert_non_null(img);
	assert_int_equal(type, IMG_MM);
	assert_int_equal(image_bytes_left(img), -1);
	assert_int_equal(image_read(img, &m), -1); /* and no 2 GiB were taken */
	image_close(img);
}

static void wrong_magic(void **state)
{
	uint32_t f[2] = { IMG_COMMON_MAGIC, image_kinds[IMG_FS].magic };
	uint32_t bad[2] = { 1, 2 };
	enum image_type type;

	make("mm-7.img", f, sizeof(f));
	assert_null(image_open(dirfd_, IMG_MM, 7, true));
	f[0] = IMG_SERVICE_MAGIC;
	f[1] = image_kinds[IMG_MM].magic;
	make("mm-7.img", f, sizeof(f));
	assert_null(image_open(dirfd_, IMG_MM, 7, true));
	make("mm-7.img", bad, sizeof(bad));
	assert_null(image_open_fd(openat(dirfd_, "mm-7.img", O_RDONLY), "mm-7.img", &type));
	gone("mm-7.img");
}

static void not_there(void **state)
{
	errno = 0;
	assert_null(image_open(dirfd_, IMG_PSTREE, 0, false));
	assert_int_equal(errno, ENOENT);
	assert_null(image_open(dirfd_, IMG_PSTREE, 0, true));
}

static void one_entry(void **state)
{
	InventoryEntry inv = INVENTORY_ENTRY__INIT, *got;
	uint32_t magic;
	cleanup_free char *buf = NULL;
	size_t len;

	inv.img_version = IMG_VERSION;
	assert_int_equal(image_write_one(dirfd_, IMG_INVENTORY, 0, &inv.base), 0);
	buf = read_file_at(dirfd_, "inventory.img", &len);
	memcpy(&magic, buf, 4);
	assert_int_equal(magic, 0x58313116); /* its own magic alone */
	assert_int_equal(image_read_one(dirfd_, IMG_INVENTORY, 0, (ProtobufCMessage **)&got), 0);
	assert_int_equal(got->img_version, IMG_VERSION);
	inventory_entry__free_unpacked(got, NULL);

	make("inventory.img", buf, 4); /* no entry */
	assert_int_equal(image_read_one(dirfd_, IMG_INVENTORY, 0, (ProtobufCMessage **)&got), -1);
	buf = xrealloc(buf, len * 2);
	memcpy(buf + len, buf + 4, len - 4);
	make("inventory.img", buf, len * 2 - 4); /* two */
	assert_int_equal(image_read_one(dirfd_, IMG_INVENTORY, 0, (ProtobufCMessage **)&got), -1);
	gone("inventory.img");
}

static void head_then_runs(void **state)
{
	struct image *img = image_create(dirfd_, IMG_PAGEMAP, 42);
	PagemapHead head = PAGEMAP_HEAD__INIT, *h;
	PagemapEntry run = PAGEMAP_ENTRY__INIT, *r;

	assert_string_equal(image_name(img), "pagemap-42.img");
	head.pages_id = 3;
	assert_int_equal(image_write(img, &head.base), 0);
	run.vaddr = 0x1000;
	run.has_nr_pages = true;
	run.nr_pages = 1UL << 40;
	assert_int_equal(image_write(img, &run.base), 0);
	assert_int_equal(image_close(img), 0);

	img = image_open(dirfd_, IMG_PAGEMAP, 42, true);
	assert_int_equal(image_read_as(img, &h), 1);
	assert_int_equal(h->pages_id, 3);
	assert_int_equal(image_read_as(img, &r), 1);
	assert_true(r->nr_pages == 1UL << 40);
	pagemap_head__free_unpacked(h, NULL);
	pagemap_entry__free_unpacked(r, NULL);
	image_close(img);
	gone("pagemap-42.img");
}

static void made_at_first_write(void **state)
{
	struct image *img = image_create_lazily(dirfd_, IMG_FDINFO, 2);
	FdinfoEntry e = FDINFO_ENTRY__INIT, *got;

	assert_int_equal(image_close(img), 0);
	assert_int_equal(faccessat(dirfd_, "fdinfo-2.img", F_OK, 0), -1);

	img = image_create_lazily(dirfd_, IMG_FDINFO, 2);
	e.fd = 17;
	e.type = FD_TYPES__PIPE;
	assert_int_equal(image_write(img, &e.base), 0);
	assert_int_equal(image_close(img), 0);
	assert_int_equal(image_read_one(dirfd_, IMG_FDINFO, 2, (ProtobufCMessage **)&got), 0);
	assert_int_equal(got->fd, 17);
	fdinfo_entry__free_unpacked(got, NULL);
	gone("fdinfo-2.img");
}

static void bytes_from_descriptors(void **state)
{
	struct image *img = image_create(dirfd_, IMG_PAGES, 1);
	cleanup_free char *buf = NULL;
	off_t off = 2;
	size_t len;
	int p[2], fd;

	make("src", "0123456789", 10);
	fd = openat(dirfd_, "src", O_RDONLY);
	assert_int_equal(pipe(p), 0);
	assert_int_equal(write_full(p[1], "abc", 3), 0);
	assert_int_equal(image_write_raw(img, "<", 1), 0);
	assert_int_equal(image_write_from(img, fd, &off, 5), 0);
	assert_int_equal(image_write_from(img, p[0], NULL, 3), 0);
	assert_int_equal(image_write_raw(img, ">", 1), 0);
	assert_int_equal(image_offset(img), 10);
	assert_int_equal(image_write_from(img, fd, &off, 50), -1); /* there is no more */
	assert_int_equal(image_close(img), -1);
	buf = read_file_at(dirfd_, "pages-1.img", &len);
	assert_memory_equal(buf, "<23456abc", 9);
	close(fd);
	close(p[0]);
	close(p[1]);
	gone("src");
	gone("pages-1.img");
}

static void large_entry_and_names(void **state)
{
	CgMemberEntry m = CG_MEMBER_ENTRY__INIT, *members[20000];
	CgSetEntry set = CG_SET_ENTRY__INIT, *sets[1] = { &set };
	CgroupEntry cg = CGROUP_ENTRY__INIT, *got;
	StatsEntry stats = STATS_ENTRY__INIT;
	struct image *img;

	m.name = m.path = "a name that takes some room";
	for (unsigned i = 0; i < ARRAY_SIZE(members); i++)
		members[i] = &m;
	set.n_ctls = ARRAY_SIZE(members);
	set.ctls = members;
	cg.n_sets = 1;
	cg.sets = sets;
	assert_int_equal(image_write_one(dirfd_, IMG_CGROUP, 0, &cg.base), 0);
	assert_int_equal(image_read_one(dirfd_, IMG_CGROUP, 0, (ProtobufCMessage **)&got), 0);
	assert_int_equal(got->sets[0]->n_ctls, ARRAY_SIZE(members));
	cgroup_entry__free_unpacked(got, NULL);
	gone("cgroup.img");

	img = image_create_str(dirfd_, IMG_STATS, "dump");
	assert_string_equal(image_name(img), "stats-dump");
	assert_int_equal(image_write(img, &stats.base), 0);
	assert_int_equal(image_close(img), 0);
	img = image_open_str(dirfd_, IMG_STATS, "dump", true);
	assert_non_null(img);
	image_close(img);
	gone("stats-dump");
	img = image_create_lazily(dirfd_, IMG_GHOST_FILE, 0x1f);
	assert_string_equal(image_name(img), "ghost-file-1f.img");
	image_close(img);
}

/* A directory in a directory in a directory... would use up the stack. */
static void nested_too_deeply(void **state)
{
	static uint8_t buf[1 << 20];
	size_t pos = sizeof(buf);
	int levels;

	for (levels = 0; levels < 5000; levels++) {
		uint64_t len = sizeof(buf) - pos;
		uint8_t head[6] = { 2 << 3 | 2 }; /* children */
		size_t n = 1;

		do
			head[n++] = (len & 0x7f) | (len > 0x7f ? 0x80 : 0);
		while (len >>= 7);
		pos -= n;
		memcpy(buf + pos, head, n);
		if (levels == 99)
			assert_true(message_depth_ok(&cgroup_dir_entry__descriptor, buf + pos,
						     sizeof(buf) - pos));
	}
	assert_false(message_depth_ok(&cgroup_dir_entry__descriptor, buf + pos, sizeof(buf) - pos));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_with_raw_bytes),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(oversized_entry),
		cmocka_unit_test(oversized_entry_from_a_pipe),
		cmocka_unit_test(wrong_magic),
		cmocka_unit_test(not_there),
		cmocka_unit_test(one_entry),
		cmocka_unit_test(head_then_runs),
		cmocka_unit_test(made_at_first_write),
		cmocka_unit_test(bytes_from_descriptors),
		cmocka_unit_test(large_entry_and_names),
		cmocka_unit_test(nested_too_deeply),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
