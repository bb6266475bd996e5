// SPDX-License-Identifier: GPL-2.0-only
/* decode, encode, show, info: one file in, one file out. */
#include "crit.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <sys/stat.h>

#include "util/log.h"
#include "util/xmalloc.h"

struct files {
	const char *in, *out; /* NULL or "-": the standard ones */
	struct decode_how how;
};

static int parse(int argc, char **argv, struct files *f)
{
	static const struct option options[] = {
		{ "in", required_argument, NULL, 'i' }, { "out", required_argument, NULL, 'o' },
		{ "pretty", no_argument, NULL, 'p' },	{ "nopl", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },	{ NULL, 0, NULL, 0 }
	};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":i:o:", options, NULL)) != -1) {
		if (c == 'i')
			f->in = optarg;
		else if (c == 'o')
			f->out = optarg;
		else if (c == 'p')
			f->how.pretty = true;
		else if (c == 'n')
			f->how.no_payload = true;
		else {
			pr_err("crit %s: %s %s; crit %s --help lists all", argv[0],
			       c == ':' ? "an argument is missing behind" : "unknown option",
			       argv[optind - 1], argv[0]);
			return -1;
		}
	}
	if (optind < argc && !f->in)
		f->in = argv[optind++];
	if (optind < argc) {
		pr_err("crit %s: %s is one file too many", argv[0], argv[optind]);
		return -1;
	}
	if (f->in && !strcmp(f->in, "-"))
		f->in = NULL;
	if (f->out && !strcmp(f->out, "-"))
		f->out = NULL;
	return 0;
}

static int open_in(const struct files *f)
{
	int fd = f->in ? open(f->in, O_RDONLY | O_CLOEXEC)
		       : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

	if (fd < 0)
		pr_perror("Can't open %s", f->in ?: "standard input");
	return fd;
}

static int open_out(const struct files *f)
{
	int fd = f->out ? open(f->out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)
			: fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

	if (fd < 0)
		pr_perror("Can't create %s", f->out ?: "standard output");
	return fd;
}

/* Half a file is worse than none. */
static void drop_out(const struct files *f)
{
	struct stat st;

	if (f->out && !stat(f->out, &st) && S_ISREG(st.st_mode))
		unlink(f->out);
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return !fstat(a, &x) && !fstat(b, &y) && S_ISREG(x.st_mode) && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

static int check_not_same(const struct files *f, int in)
{
	cleanup_close int out = f->out ? open(f->out, O_RDONLY | O_CLOEXEC) : -1;

	if (out < 0 || !same_file(in, out))
		return 0;
	pr_err("%s is both read and written: give -o another file", f->out);
	return -1;
}

static int decode(const struct files *f)
{
	cleanup_close int in = open_in(f);
	cleanup_close int fd = in < 0 || check_not_same(f, in) ? -1 : open_out(f);
	cleanup_image struct image *img = NULL;
	struct json_out out;
	enum image_type type;
	int ret;

	if (fd < 0)
		return -1;
	img = image_open_fd(move_fd(in), f->in ?: "(standard input)", &type);
	if (!img || json_out_init(&out, fd, f->how.pretty)) {
		drop_out(f);
		return -1;
	}
	ret = decode_image(img, type, &out, &f->how);
	/* the plain form is one line that ends where the JSON does */
	if (f->how.pretty || (!f->out && isatty(STDOUT_FILENO)))
		json_newline(&out);
	if (json_out_finish(&out))
		ret = -1;
	if (ret)
		drop_out(f);
	return ret;
}

int cmd_decode(int argc, char **argv)
{
	struct files f = { 0 };

	return parse(argc, argv, &f) || decode(&f) ? 1 : 0;
}

int cmd_show(int argc, char **argv)
{
	struct files f = { .how.pretty = true };

	if (parse(argc, argv, &f))
		return 1;
	return decode(&f) ? 1 : 0;
}

static int encode(const struct files *f)
{
	cleanup_close int in = open_in(f);
	int fd = in < 0 || check_not_same(f, in) ? -1 : open_out(f);
	struct json_in json;
	int ret;

	if (fd < 0)
		return -1;
	if (json_in_init(&json, in, f->in ?: "(standard input)")) {
		close(fd);
		return -1;
	}
	ret = encode_image(&json, fd, f->out ?: "(standard output)");
	json_in_free(&json);
	if (ret)
		drop_out(f);
	return ret;
}

int cmd_encode(int argc, char **argv)
{
	struct files f = { 0 };

	return parse(argc, argv, &f) || encode(&f) ? 1 : 0;
}

/* Entries are read like decode does, into a JSON that goes nowhere. */
static int count(struct image *img, enum image_type type, unsigned long *nr)
{
	cleanup_close int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct decode_how how = { .no_payload = true };
	struct json_out out;
	ProtobufCMessage *msg;
	int ret;

	if (null < 0 || json_out_init(&out, null, false))
		return -1;
	while ((ret = image_read(img, &msg)) > 0) {
		json_open(&out, '{');
		ret = decode_extra(img, type, msg, &out, &how);
		json_close(&out, '}');
		protobuf_c_message_free_unpacked(msg, NULL);
		if (ret)
			break;
		++*nr;
	}
	return json_out_finish(&out) ? -1 : ret;
}

int cmd_info(int argc, char **argv)
{
	struct files f = { 0 };
	int fd;
	cleanup_image struct image *img = NULL;
	enum image_type type;
	struct json_out out;
	unsigned long nr = 0;

	if (parse(argc, argv, &f))
		return 1;
	fd = open_in(&f);
	img = fd < 0 ? NULL : image_open_fd(fd, f.in ?: "(standard input)", &type);
	if (!img || count(img, type, &nr) || json_out_init(&out, STDOUT_FILENO, true))
		return 1;
	json_open(&out, '{');
	json_key(&out, "magic");
	json_str(&out, image_kinds[type].name, strlen(image_kinds[type].name));
	json_key(&out, "count");
	json_u64(&out, nr);
	json_close(&out, '}');
	json_newline(&out);
	return json_out_finish(&out) ? 1 : 0;
}
