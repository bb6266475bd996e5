// SPDX-License-Identifier: GPL-2.0-only
/*
 * The serving side of the wire (page-server --lazy-pages, dump --lazy-pages). The first byte: bit 0 the bulk connection of a session, else a
 * connection as it comes; bit 1 compressed, bit 2 with zstd.
 */
#include "lazy/server.h"
#include "wire.h"

static void talk(struct server *sv, unsigned kind, const uint8_t *data, size_t size)
{
	struct client *cl = xzalloc(sizeof(*cl));
	uint64_t features = PS_FEAT_BULK | PS_FEAT_COMMIT |
			    (!(kind & 2) ? 0
			     : kind & 4	 ? PS_FEAT_ZSTD
					 : PS_FEAT_LZ4);
	struct session *ss = kind & 1 ? session_new(sv, features) : NULL;
	int s[2];

	wire_pair(s);
	cl->server = sv;
	cl->c.fd = s[0];
	cl->buf = aligned_alloc(PAGE_SIZE, CLIENT_BUF);
	if (ss) {
		struct ps_msg m = { .cmd = PS_ATTACH, .dst_id = ss->token };

		wire_say(s[1], &m, sizeof(m));
	}
	wire_say(s[1], data, size);
	shutdown(s[1], SHUT_WR);
	serve_client(cl);
	if (cl->session)
		session_put(sv, cl->session);
	if (ss)
		session_put(sv, ss);
	conn_close(&cl->c);
	close(s[1]);
	free(cl->buf);
	free(cl);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct server sv;

	wire_set_up(true);
	if (size < 1 || size > MAX_SAY)
		return 0;
	if (server_init(&sv, true))
		abort();
	sv.committed = true; /* there is no main thread that would decide on it */
	talk(&sv, data[0], data + 1, size - 1);
	server_end(&sv);
	return 0;
}
