// SPDX-License-Identifier: GPL-2.0-only
/* The bulk thread: brings what nobody has asked for yet, and stands back for those who wait. */
#include <unistd.h>

#include "lazy/lazyd.h"
#include "lazy/ready.h"
#include "util/log.h"

static int step(struct lazyd *d)
{
	int ret = d->remote ? remote_bulk(d) : local_background(d);

	/* a fork or remap that came between may have left faults to answer */
	if (ret >= 0 && d->nr_faults && faults_answer(d))
		return -1;
	return ret;
}

static void *bulk_thread(void *arg)
{
	struct lazyd *d = arg;
	uint64_t one = 1;

	thread_stands_back();
	pthread_mutex_lock(&d->lock);
	while (!d->bulk_stop && d->nr_spaces) {
		int ret = step(d);

		if (ret < 0 && !d->bulk_stop)
			d->failed = true;
		if (ret < 0 || d->dead_spaces || d->nr_faults)
			if (write(d->wake, &one, sizeof(one)) < 0)
				pr_perror("Can't wake the main thread");
		if (ret < 0)
			break;
	}
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

int bulk_start(struct lazyd *d)
{
	if (d->remote && !remote_has_bulk(d))
		return 0;
	if (pthread_create(&d->bulk, NULL, bulk_thread, d)) {
		pr_err("Can't start a thread");
		return -1;
	}
	d->bulk_runs = true;
	thread_answers_fast();
	return 0;
}

void bulk_end(struct lazyd *d)
{
	if (!d->bulk_runs)
		return;
	d->bulk_stop = true;
	if (d->remote)
		remote_stop_bulk(d);
	pthread_mutex_unlock(&d->lock);
	pthread_join(d->bulk, NULL);
	pthread_mutex_lock(&d->lock);
	d->bulk_runs = false;
}
