// SPDX-License-Identifier: GPL-2.0-only
/*
 * The serving side of the wire (page-server --lazy-pages, dump --lazy-pages). The first byte: 0 a connection as it comes, 1 the bulk
 * connection of a session.
 */
#include "lazy/server.h"
#include "wire.h"

static void talk(struct server *sv, bool bulk, const uint8_t *data, size_t size)
{
	struct client *cl = xzalloc(sizeof(*cl));
	struct session *ss = bulk ? session_new(sv, PS_FEAT_BULK | PS_FEAT_COMMIT) : NULL;
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
	talk(&sv, data[0] & 1, data + 1, size - 1);
	server_end(&sv);
	return 0;
}
