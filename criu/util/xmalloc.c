// SPDX-License-Identifier: GPL-2.0-only
#include "util/xmalloc.h"

#include <stdarg.h>

#include "util/log.h"

static void *checked(void *p, size_t size)
{
	if (!p && size)
		pr_err("Out of memory allocating %zu bytes", size);
	return p;
}

void *xmalloc(size_t size)
{
	return checked(malloc(size), size);
}

void *xzalloc(size_t size)
{
	return checked(calloc(1, size), size);
}

void *xcalloc(size_t nr, size_t size)
{
	return checked(calloc(nr, size), nr * size);
}

void *xrealloc(void *p, size_t size)
{
	return checked(realloc(p, size), size);
}

char *xstrdup(const char *s)
{
	return checked(strdup(s), strlen(s) + 1);
}

char *xasprintf(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = checked(NULL, strlen(fmt));
	va_end(ap);
	return s;
}

int xgrow(void *array, size_t *cap, size_t nr, size_t size)
{
	void **ap = array, *p;
	size_t want = *cap;

	if (nr < *cap)
		return 0;
	while (want <= nr)
		want = want ? want * 2 : 16;
	p = reallocarray(*ap, want, size);
	if (!checked(p, want * size))
		return -1;
	*ap = p;
	*cap = want;
	return 0;
}
