// SPDX-License-Identifier: GPL-2.0-only
#include "net/gnutls.h"

#include <dlfcn.h>

#include "util/log.h"

#define SONAME "libgnutls.so.30"

struct gnutls gnutls;

int gnutls_load(void)
{
	void *lib;

	if (gnutls.init)
		return 0;
	lib = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);
	if (!lib) {
		pr_err("TLS needs GnuTLS, which can't be loaded: %s", dlerror());
		return -1;
	}
#define GNUTLS_FIND(name)                                                        \
	gnutls.name = (__typeof__(gnutls.name))dlsym(lib, "gnutls_" #name);      \
	if (!gnutls.name) {                                                      \
		pr_err("TLS: " SONAME " is too old, it lacks gnutls_%s", #name); \
		gnutls.init = NULL;                                              \
		dlclose(lib);                                                    \
		return -1;                                                       \
	}
	GNUTLS_SYMBOLS(GNUTLS_FIND)
	return 0;
}
