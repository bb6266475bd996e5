// SPDX-License-Identifier: GPL-2.0-only
/*
 * The asking side of the wire (lazy-pages --page-server). The first byte: bit 0 a server of ours with a bulk connection, else the plain protocol, bit 1 that
 * compresses, bit 2 with zstd; the second: how much of the rest comes on the bulk connection. The pages go into memory of this process, by a real userfaultfd.
 */
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "lazy/remote.h"
#include "lazy/uffd.h"
#include "wire.h"

#define NR_PAGES 256

static int space_uffd(void)
{
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (mmap((void *)BASE, NR_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != (void *)BASE)
		abort();
	if (uffd < 0 || uffd_api(uffd, false) || uffd_register(uffd, BASE, NR_PAGES * PAGE_SIZE))
		abort();
	return uffd;
}

/* As remote_connect() after the hello. The other ends go to PEERS. */
static struct remote *connected(unsigned kind, int peers[2])
{
	struct remote *r = xzalloc(sizeof(*r));
	int s[2];

	wire_pair(s);
	r->urgent.c.fd = s[0];
	peers[0] = s[1];
	wire_pair(s);
	r->bulk.fd = s[0];
	peers[1] = s[1];
	r->box.bytes = -1;
	r->urgent.buf = xmalloc(INBOX);
	r->box.buf = aligned_alloc(PAGE_SIZE, PS_BATCH * PAGE_SIZE);
	r->asks = xcalloc(ASKS, sizeof(*r->asks));
	r->features = kind & 1 ? PS_FEAT_BULK | PS_FEAT_COMMIT : 0;
	if (kind & 2) {
		r->unpacker = unpacker_new(kind & 4 ? PS_FEAT_ZSTD : PS_FEAT_LZ4);
		r->box.packed = xmalloc(PS_BATCH * PAGE_SIZE);
	}
	return r;
}

static void run(struct lazyd *d, struct object *obj)
{
	static const struct {
		unsigned page, nr;
	} faults[] = { { 0, 1 }, { 20, 4 }, { 100, 3 }, { 210, 16 } };

	if (remote_commit(d) || remote_start(d))
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(faults); i++)
		if (remote_ask(d, obj, BASE + faults[i].page * PAGE_SIZE, faults[i].nr, now_ns()))
			return;
	if (remote_flush(d))
		return;
	while (!remote_urgent(d))
		;
	if (remote_has_bulk(d))
		while (remote_bulk(d) >= 0)
			;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lazyd d = { .listener = -1, .restore = -1, .signals = -1 };
	struct pagemap *pm;
	struct object *obj;
	struct space *sp;
	int peers[2];
	size_t cut;

	wire_set_up(true);
	d.j = wire_journal();
	d.st.history = wire_history();
	if (size < 2 || size > MAX_SAY)
		return 0;
	TAILQ_INIT(&d.objects);
	TAILQ_INIT(&d.prepared);
	d.epoll = epoll_create1(EPOLL_CLOEXEC);
	d.buf = aligned_alloc(PAGE_SIZE, SLICE);
	pm = pagemap_open(dirs.images, IMG_PAGEMAP, REMOTE);
	obj = object_new(REMOTE, pm);
	sp = space_new(obj, REMOTE, space_uffd());
	if (d.epoll < 0 || !sp || watch(&d, sp->uffd, WATCH_SPACE, sp))
		abort();
	TAILQ_INSERT_TAIL(&d.objects, obj, link);
	d.nr_spaces = 1;
	d.nr_left = sp->nr_left;
	d.finished = true;
	d.remote = connected(data[0], peers);
	cut = 2 + (size - 2) * data[1] / 255;
	wire_say(peers[1], data + 2, cut - 2);
	wire_say(peers[0], data + cut, size - cut);
	shutdown(peers[0], SHUT_WR);
	shutdown(peers[1], SHUT_WR);
	run(&d, obj);
	remote_close(&d, true);
	object_free(obj);
	close(peers[0]);
	close(peers[1]);
	close(d.epoll);
	free(d.buf);
	free(d.faults);
	munmap((void *)BASE, NR_PAGES * PAGE_SIZE);
	return 0;
}
