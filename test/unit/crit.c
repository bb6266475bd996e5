// SPDX-License-Identifier: GPL-2.0-only
/* The parts of crit by themselves: text codecs, JSON both ways, names. Whole images: test/check.d/10-crit and those after it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "crit/checkpoint.h"
#include "crit/hints.h"
#include "crit/json.h"
#include "crit/text.h"
#include "sk-inet.pb-c.h"
#include "util/io.h"
#include "util/log.h"

static void check_base64(const char *bytes, const char *text)
{
	size_t len;
	char *got = base64_encode(bytes, strlen(bytes), &len);

	assert_string_equal(got, text);
	assert_int_equal(len, strlen(text));
	free(got);
	got = base64_decode(text, strlen(text), &len);
	assert_non_null(got);
	assert_string_equal(got, bytes);
	free(got);
}

/* The vectors of RFC 4648, with the newline of the 76-column form. */
static void base64_vectors(void **state)
{
	size_t len;

	check_base64("", "");
	check_base64("f", "Zg==\n");
	check_base64("fo", "Zm8=\n");
	check_base64("foo", "Zm9v\n");
	check_base64("foobar", "Zm9vYmFy\n");
	assert_null(base64_decode("Zg", 2, &len));
	assert_null(base64_decode("Zg=a", 4, &len));
	assert_null(base64_decode("Z===", 4, &len));
	assert_null(base64_decode("Zm9?", 4, &len));
}

static void base64_lines(void **state)
{
	char zeros[115] = { 0 };
	size_t len;
	char *got = base64_encode(zeros, sizeof(zeros), &len);

	assert_int_equal(strcspn(got, "\n"), 76);
	assert_int_equal(strcspn(got + 77, "\n"), 76);
	assert_string_equal(got + 154, "AA==\n");
	free(got);
}

static void quoted_vectors(void **state)
{
	static const char name[] = "\0abstract = x\377";
	char *got, *back;
	size_t len, back_len;

	got = quoted_encode(name, sizeof(name) - 1, &len);
	assert_string_equal(got, "=00abstract=20=3D=20x=FF");
	back = quoted_decode(got, len, &back_len);
	assert_int_equal(back_len, sizeof(name) - 1);
	assert_memory_equal(back, name, back_len);
	free(got);
	free(back);
	assert_null(quoted_decode("=0", 2, &len));
	assert_null(quoted_decode("=zz", 3, &len));
}

/* What FN writes, as a fresh string. */
static char *written(bool pretty, void (*fn)(struct json_out *out))
{
	int fd = memfd_create("json", 0);
	struct json_out out;
	char *buf = calloc(1, 4096);

	assert_int_equal(json_out_init(&out, fd, pretty), 0);
	fn(&out);
	assert_int_equal(json_out_finish(&out), 0);
	assert_true(pread(fd, buf, 4095, 0) >= 0);
	close(fd);
	return buf;
}

static void some_json(struct json_out *out)
{
	json_open(out, '{');
	json_key(out, "numbers");
	json_open(out, '[');
	json_u64(out, UINT64_MAX);
	json_i64(out, INT64_MIN);
	json_close(out, ']');
	json_key(out, "none");
	json_open(out, '[');
	json_close(out, ']');
	json_key(out, "text");
	json_str(out, "a\"\\\n\x7f\xc3\xbc\xf0\x9f\x98\x80\xff", 12);
	json_close(out, '}');
}

static void json_writes_like_python(void **state)
{
	char *s = written(false, some_json);

	assert_string_equal(
		s, "{\"numbers\": [18446744073709551615, -9223372036854775808], \"none\": [], "
		   "\"text\": \"a\\\"\\\\\\n\\u007f\\u00fc\\ud83d\\ude00\\udcff\"}");
	free(s);
	s = written(true, some_json);
	assert_string_equal(s,
			    "{\n    \"numbers\": [\n        18446744073709551615,\n"
			    "        -9223372036854775808\n    ],\n    \"none\": [],\n"
			    "    \"text\": \"a\\\"\\\\\\n\\u007f\\u00fc\\ud83d\\ude00\\udcff\"\n}");
	free(s);
}

static void open_text(struct json_in *in, const char *text)
{
	int fd = memfd_create("json", 0);

	assert_int_equal(write_full(fd, text, strlen(text)), 0);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(json_in_init(in, fd, "test"), 0);
}

static void close_text(struct json_in *in)
{
	close(in->fd);
	json_in_free(in);
}

static void json_reads(void **state)
{
	struct json_in in;
	struct json_int v;
	bool first = true, b;

	open_text(&in, " { \"a\\u0041\\ud83d\\ude00\\udcff\\/\" : -9223372036854775808 , "
		       "\"b\":true,\"c\":[1,"
		       "{\"x\":null}]}\n ");
	assert_int_equal(json_enter(&in, '{'), 0);
	assert_int_equal(json_next(&in, '}', &first), 1);
	assert_int_equal(json_member(&in), 0);
	assert_string_equal(in.str, "aA\xf0\x9f\x98\x80\xff/");
	assert_int_equal(json_integer(&in, &v), 0);
	assert_true(v.negative && v.magnitude == 1UL << 63);
	assert_int_equal(json_next(&in, '}', &first), 1);
	assert_int_equal(json_member(&in), 0);
	assert_int_equal(json_bool(&in, &b), 0);
	assert_true(b);
	assert_int_equal(json_next(&in, '}', &first), 1);
	assert_int_equal(json_member(&in), 0);
	assert_int_equal(json_skip(&in), 0);
	assert_int_equal(json_next(&in, '}', &first), 0);
	assert_int_equal(json_end(&in), 0);
	close_text(&in);
}

static void json_refuses(void **state)
{
	static const char *const bad[] = { "[1,2",	  "[1 2]",	 "\"abc",     "\"\\q\"",
					   "\"\\ud800\"", "\"\\udc00\"", "\"\\u12\"", "tru",
					   "{\"a\" 1}",	  "{1: 2}",	 "\"a\nb\"",  "]" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct json_in in;

		open_text(&in, bad[i]);
		if (!json_skip(&in) && !json_end(&in))
			fail_msg("accepted: %s", bad[i]);
		close_text(&in);
	}
}

static void json_refuses_large_numbers(void **state)
{
	struct json_in in;
	struct json_int v;

	open_text(&in, "18446744073709551616");
	assert_int_equal(json_integer(&in, &v), -1);
	close_text(&in);
	open_text(&in, "18446744073709551615");
	assert_int_equal(json_integer(&in, &v), 0);
	assert_true(v.magnitude == UINT64_MAX);
	close_text(&in);
}

static void json_refuses_depth(void **state)
{
	char deep[2 * JSON_MAX_DEPTH + 1];
	struct json_in in;

	memset(deep, '[', sizeof(deep));
	deep[sizeof(deep) - 1] = 0;
	open_text(&in, deep);
	assert_int_equal(json_skip(&in), -1);
	close_text(&in);
}

static const struct field_hints *hints_for(const ProtobufCMessageDescriptor *d, const char *field)
{
	const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(d,
											    field);

	assert_non_null(f);
	assert_non_null(hints_of(d));
	return &hints_of(d)[f - d->fields];
}

/* From the options in the .proto files, by way of the descriptor set. */
static void hints_of_fields(void **state)
{
	uint64_t v;

	assert_true(hints_for(&mm_entry__descriptor, "mm_brk")->hex);
	assert_false(hints_for(&mm_entry__descriptor, "dumpable")->hex);
	assert_true(hints_for(&inet_sk_entry__descriptor, "src_addr")->ipadd);
	assert_string_equal(dict_name(hints_for(&inet_sk_entry__descriptor, "proto")->dict, 17),
			    "UDP");
	assert_true(dict_value(hints_for(&inet_sk_entry__descriptor, "family")->dict, "INET6", &v));
	assert_int_equal(v, 10);
	assert_null(hints_of(&pstree_entry__descriptor));
}

static void flags_both_ways(void **state)
{
	const struct value_name *names = hints_for(&vma_entry__descriptor, "flags")->flags;
	char text[256];
	uint64_t v;

	flags_to_text(names, 0x4022, text, sizeof(text));
	assert_string_equal(text, "MAP_PRIVATE | MAP_ANON | 0x4000");
	assert_true(flags_from_text(names, text, &v));
	assert_int_equal(v, 0x4022);
	assert_true(flags_from_text(names, "", &v));
	assert_int_equal(v, 0);
	assert_false(flags_from_text(names, "MAP_PRIVATE | MAP_NONE", &v));
	assert_false(flags_from_text(names, "MAP_PRIVATE | x12", &v));
}

static void devices_both_ways(void **state)
{
	char text[64];
	uint64_t v;

	dev_to_text(false, 266338304, text, sizeof(text));
	assert_string_equal(text, "254:0");
	assert_true(dev_from_text(false, "254:0", &v));
	assert_int_equal(v, 266338304);
	dev_to_text(true, 0x803, text, sizeof(text));
	assert_string_equal(text, "8:3");
	assert_true(dev_from_text(true, "8:3", &v));
	assert_int_equal(v, 0x803);
	assert_false(dev_from_text(true, "8", &v));
	assert_false(dev_from_text(true, "8:3x", &v));
}

static void which_areas_are_lazy(void **state)
{
	VmaEntry v = VMA_ENTRY__INIT;

	v.flags = MAP_PRIVATE | MAP_ANONYMOUS;
	v.status = 0x201;
	assert_true(vma_can_be_lazy(&v));
	v.status = 0x209; /* vDSO */
	assert_false(vma_can_be_lazy(&v));
	v.status = 0x41; /* of a file */
	assert_false(vma_can_be_lazy(&v));
	v.status = 0x201;
	v.flags |= MAP_LOCKED;
	assert_false(vma_can_be_lazy(&v));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_vectors),
		cmocka_unit_test(base64_lines),
		cmocka_unit_test(quoted_vectors),
		cmocka_unit_test(json_writes_like_python),
		cmocka_unit_test(json_reads),
		cmocka_unit_test(json_refuses),
		cmocka_unit_test(json_refuses_large_numbers),
		cmocka_unit_test(json_refuses_depth),
		cmocka_unit_test(hints_of_fields),
		cmocka_unit_test(flags_both_ways),
		cmocka_unit_test(devices_both_ways),
		cmocka_unit_test(which_areas_are_lazy),
	};

	log_level = LOG_SILENT;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
