/* SPDX-License-Identifier: GPL-2.0-only */
/* What sockets of all families share: options, the diag table, queues. Used inside files/ only. */
#ifndef CRIU_FILES_SOCKET_H
#define CRIU_FILES_SOCKET_H

#include "files/sockopt_more.h"
#include "files/table.h"
#include "net/diag.h"
#include "sk-opts.pb-c.h"

/* dump: the options of P's socket (socket(7)). UNIX sockets have two more. NULL: logged. */
SkOptsEntry *sockopts_dump(struct op *op, const struct fd_probe *p, bool is_unix);
/* restore: sets them on FD. WHAT is for messages ("UNIX socket 5"). -1: logged. */
int sockopts_restore(int fd, const SkOptsEntry *e, const char *what);
/* An integer option; -1: logged, naming P and OPTION_NAME. */
int sockopt_get(const struct fd_probe *p, int level, int option, const char *option_name,
		int *value);
/* Sets an integer option; logged where it fails. */
int sockopt_set(int fd, int level, int option, const char *option_name, int value,
		const char *what);
/* dump: what the kernel tells about the sockets of P's network namespace. NULL: logged. */
struct diag *sockets_diag(struct op *op, struct task *t);
void sockets_diag_free(struct op *op);
/* net_ns_id of the task, where it is known. */
bool socket_ns_id(const struct task *t, uint32_t *id);

/* ---- queue.c: packets that wait in UNIX sockets. Image: sk-queues.img ---- */
int queue_dump(struct op *op, const struct fd_probe *p, struct file *f, bool stream);
int queues_dump_all(struct op *op);
int queues_collect(struct op *op);
bool queue_has(struct op *op, uint32_t id);
/* Sends what waited in file ID through FD. -1: logged. */
int queue_send(struct op *op, uint32_t id, int fd);
void queues_free(struct op *op);

#endif
