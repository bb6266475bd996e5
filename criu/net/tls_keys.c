// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may talk to whom.
 *
 * --tls: each side shows its certificate, which one of the CAs in --tls-cacert must have signed and which must not be in --tls-cacrl. The client compares the
 * server's name with --address. Without --tls-cacert a client trusts the system's CAs too; a server never does: everybody can have a
 * certificate of theirs.
 * --tls-psk: whoever has the key that the server put into the images directory.
 */
#include "net/tls_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "net/gnutls.h"
#include "util/io.h"
#include "util/log.h"
#include "util/opts.h"
#include "util/xmalloc.h"

#define CACERT	  "/etc/pki/CA/cacert.pem"
#define CACRL	  "/etc/pki/CA/cacrl.pem"
#define CERT	  "/etc/pki/criu/cert.pem"
#define KEY	  "/etc/pki/criu/private/key.pem"
#define WHO	  "criu" /* GnuTLS wants a name with the key */

#define KEY_BYTES 32

static gnutls_certificate_credentials_t x509[2]; /* by role */
static gnutls_psk_client_credentials_t psk_client;
static gnutls_psk_server_credentials_t psk_server;
static unsigned char psk[KEY_BYTES];

/* ---- certificates ---- */

/* OPTION, or DEFAULT where there is such a file; NULL: neither. */
static const char *pick(const char *option, const char *fallback)
{
	return option ?: access(fallback, F_OK) ? NULL : fallback;
}

static int bad_file(const char *what, const char *path, int error)
{
	pr_err("Can't use %s as %s: %s", path, what,
	       error ? gnutls.strerror(error) : "there is none in it");
	return -1;
}

/* What is wrong with a path is not in the words of the library. */
static int check_file(const char *what, const char *path)
{
	if (!access(path, R_OK))
		return 0;
	pr_perror("Can't read %s as %s%s", path, what,
		  path[0] == '/' ? "" : "; a relative path starts at the work directory");
	return -1;
}

static int load_cas(gnutls_certificate_credentials_t c, enum tls_role role)
{
	const char *ca = pick(opts.tls_cacert, CACERT), *crl = pick(opts.tls_cacrl, CACRL);
	int n = 0;

	if (!ca && role == TLS_SERVER) {
		pr_err("--tls: no CA is known that may sign the clients' certificates: give "
		       "--tls-cacert (or put it "
		       "into " CACERT ")");
		return -1;
	}
	if (!opts.tls_cacert && role == TLS_CLIENT &&
	    gnutls.certificate_set_x509_system_trust(c) < 0)
		pr_debug("TLS: the system has no CAs of its own");
	if ((ca && check_file("certificate of a CA (--tls-cacert)", ca)) ||
	    (crl && check_file("list of revoked certificates (--tls-cacrl)", crl)))
		return -1;
	if (ca && (n = gnutls.certificate_set_x509_trust_file(c, ca, GNUTLS_X509_FMT_PEM)) <= 0)
		return bad_file("certificate of a CA (--tls-cacert)", ca, n);
	if (crl && (n = gnutls.certificate_set_x509_crl_file(c, crl, GNUTLS_X509_FMT_PEM)) <= 0)
		return bad_file("list of revoked certificates (--tls-cacrl)", crl, n);
	return 0;
}

static int load_own(gnutls_certificate_credentials_t c)
{
	const char *cert = opts.tls_cert ?: CERT, *key = opts.tls_key ?: KEY;
	int ret;

	if (check_file("the certificate of this side (--tls-cert)", cert) ||
	    check_file("its key (--tls-key)", key))
		return -1;
	ret = gnutls.certificate_set_x509_key_file(c, cert, key, GNUTLS_X509_FMT_PEM);
	if (ret >= 0)
		return 0;
	pr_err("Can't use the certificate %s with the key %s: %s", cert, key, gnutls.strerror(ret));
	return -1;
}

static int prepare_x509(enum tls_role role)
{
	gnutls_certificate_credentials_t c;

	if (x509[role])
		return 0;
	if (role == TLS_CLIENT && !opts.address && !opts.tls_no_cn_verify) {
		pr_err("--tls: the name in the server's certificate can't be checked without "
		       "--address; "
		       "--tls-no-cn-verify does without");
		return -1;
	}
	if (gnutls.certificate_allocate_credentials(&c)) {
		pr_err("Out of memory");
		return -1;
	}
	if (load_cas(c, role) || load_own(c)) {
		gnutls.certificate_free_credentials(c);
		return -1;
	}
	x509[role] = c;
	return 0;
}

/* ---- the key in the images directory ---- */

int tls_key_make(int dirfd)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char key[KEY_BYTES];
	char text[2 * KEY_BYTES + 1];
	cleanup_close int fd = -1;

	if (getrandom(key, sizeof(key), 0) != sizeof(key)) {
		pr_perror("Can't make a key");
		return -1;
	}
	for (unsigned i = 0; i < sizeof(key); i++) {
		text[2 * i] = digits[key[i] >> 4];
		text[2 * i + 1] = digits[key[i] & 15];
	}
	text[2 * KEY_BYTES] = '\n';
	unlinkat(dirfd, TLS_KEY_FILE, 0);
	fd = openat(dirfd, TLS_KEY_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0 && !fchmod(fd, 0600) && !write_full(fd, text, sizeof(text)))
		return 0;
	pr_perror("Can't write " TLS_KEY_FILE " into the images directory");
	return -1;
}

static bool key_exists(int dirfd)
{
	return !faccessat(dirfd, TLS_KEY_FILE, F_OK, 0);
}

int tls_key_ensure(int dirfd)
{
	return opts.tls_psk && !key_exists(dirfd) ? tls_key_make(dirfd) : 0;
}

void tls_key_use_found(int dirfd)
{
	if (!opts.tls && key_exists(dirfd))
		opts.tls_psk = true;
}

void tls_key_remove(int dirfd)
{
	unlinkat(dirfd, TLS_KEY_FILE, 0);
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int read_key(int dirfd)
{
	cleanup_close int fd = openat(dirfd, TLS_KEY_FILE, O_RDONLY | O_CLOEXEC);
	char text[2 * KEY_BYTES];
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		pr_perror("--tls-psk: can't open " TLS_KEY_FILE
			  " in the images directory (the server made it in its own: "
			  "copy it)");
		return -1;
	}
	if (st.st_mode & 077)
		pr_warn(TLS_KEY_FILE " in the images directory can be read by others (mode %o): "
				     "they can fetch the "
				     "tasks' memory",
			st.st_mode & 07777);
	if (read_full(fd, text, sizeof(text)) != sizeof(text))
		goto bad;
	for (unsigned i = 0; i < KEY_BYTES; i++) {
		int hi = digit(text[2 * i]), lo = digit(text[2 * i + 1]);

		if (hi < 0 || lo < 0)
			goto bad;
		psk[i] = hi << 4 | lo;
	}
	return 0;
bad:
	pr_err(TLS_KEY_FILE
	       " in the images directory is damaged: it has to begin with %d hexadecimal digits",
	       2 * KEY_BYTES);
	return -1;
}

static int find_key(gnutls_session_t s, const char *name, gnutls_datum_t *key)
{
	key->data = (*gnutls.malloc)(KEY_BYTES);
	if (!key->data)
		return -1;
	memcpy(key->data, psk, KEY_BYTES);
	key->size = KEY_BYTES;
	return 0;
}

static int prepare_psk(enum tls_role role, int dirfd)
{
	const gnutls_datum_t key = { psk, KEY_BYTES };
	int ret;

	if (role == TLS_SERVER ? !!psk_server : !!psk_client)
		return 0;
	if (read_key(dirfd))
		return -1;
	if (role == TLS_SERVER) {
		ret = gnutls.psk_allocate_server_credentials(&psk_server);
		if (!ret)
			gnutls.psk_set_server_credentials_function(psk_server, find_key);
	} else {
		ret = gnutls.psk_allocate_client_credentials(&psk_client);
		if (!ret)
			ret = gnutls.psk_set_client_credentials(psk_client, WHO, &key,
								GNUTLS_PSK_KEY_RAW);
	}
	if (ret)
		pr_err("Can't set up TLS: %s", gnutls.strerror(ret));
	return ret ? -1 : 0;
}

/* ---- both ---- */

void tls_forget(void)
{
	for (int i = 0; i < 2; i++) {
		if (x509[i])
			gnutls.certificate_free_credentials(x509[i]);
		x509[i] = NULL;
	}
	if (psk_client)
		gnutls.psk_free_client_credentials(psk_client);
	if (psk_server)
		gnutls.psk_free_server_credentials(psk_server);
	psk_client = NULL;
	psk_server = NULL;
	explicit_bzero(psk, sizeof(psk));
}

int tls_prepare(enum tls_role role, int dirfd)
{
	if (!tls_wanted())
		return 0;
	if (gnutls_load())
		return -1;
	return opts.tls ? prepare_x509(role) : prepare_psk(role, dirfd);
}

int tls_keys_use(gnutls_session_t s, enum tls_role role)
{
	int ret;

	if (!opts.tls)
		return role == TLS_SERVER ? gnutls.credentials_set(s, GNUTLS_CRD_PSK, psk_server)
					  : gnutls.credentials_set(s, GNUTLS_CRD_PSK, psk_client);
	ret = gnutls.credentials_set(s, GNUTLS_CRD_CERTIFICATE, x509[role]);
	if (ret)
		return ret;
	if (role == TLS_SERVER) {
		gnutls.certificate_server_set_request(s, GNUTLS_CERT_REQUIRE);
		gnutls.session_set_verify_cert(s, NULL, 0);
	} else {
		gnutls.session_set_verify_cert(s, opts.tls_no_cn_verify ? NULL : opts.address, 0);
	}
	return 0;
}
