/* SPDX-License-Identifier: GPL-2.0-only */
/* Small scanners that the parsers of this folder share. They move *P behind what they took; false: it is not there. */
#ifndef CRIU_PROC_TEXT_H
#define CRIU_PROC_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline void skip_blanks(const char **p)
{
	while (**p == ' ' || **p == '\t')
		(*p)++;
}

static inline bool take_hex(const char **p, uint64_t *v)
{
	const char *s = *p;
	uint64_t x = 0;

	for (;; s++) {
		unsigned c = (unsigned char)*s, digit;

		if (c - '0' < 10)
			digit = c - '0';
		else if ((c | 0x20) - 'a' < 6)
			digit = (c | 0x20) - 'a' + 10;
		else
			break;
		if (x >> 60)
			return false;
		x = x << 4 | digit;
	}
	if (s == *p)
		return false;
	*p = s;
	*v = x;
	return true;
}

static inline bool take_dec(const char **p, uint64_t *v)
{
	const char *s = *p;
	uint64_t x = 0;

	for (; (unsigned)*s - '0' < 10; s++)
		if (__builtin_mul_overflow(x, 10, &x) ||
		    __builtin_add_overflow(x, (unsigned)*s - '0', &x))
			return false;
	if (s == *p)
		return false;
	*p = s;
	*v = x;
	return true;
}

static inline bool take_signed(const char **p, int64_t *v)
{
	const char *s = *p;
	bool minus = *s == '-';
	uint64_t x;

	s += minus;
	if (!take_dec(&s, &x) || x > (uint64_t)INT64_MAX)
		return false;
	*p = s;
	*v = minus ? -(int64_t)x : (int64_t)x;
	return true;
}

static inline bool take_char(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

/* The text after "KEY:" and blanks where the line at P has that key, else NULL. */
static inline const char *after_key(const char *line, const char *key)
{
	size_t len = strlen(key);

	if (strncmp(line, key, len) || line[len] != ':')
		return NULL;
	line += len + 1;
	skip_blanks(&line);
	return line;
}

/* The begin of the line after the one at P, NULL at the end. */
static inline const char *next_line(const char *p)
{
	p = strchr(p, '\n');
	return p && p[1] ? p + 1 : NULL;
}

#endif
