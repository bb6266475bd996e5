/* SPDX-License-Identifier: GPL-2.0-only */
/* Where things lie in an arena: known to C (remote/arena.h) and to arch/ARCH/stub.S. Bytes. */
#ifndef CRIU_REMOTE_LAYOUT_H
#define CRIU_REMOTE_LAYOUT_H

#define STUB_MARKS_OFFSET 2048 /* in the stub's page: NR_FATES times struct fate_mark */
#define STUB_MARK_SIZE	  16
#define STUB_MARK_FUTEX	  8
#define SLOT_CALLS_SIZE \
	0x21000 /* of a scratch area: PROG_MAX_CALLS + 1 calls of 128 bytes, whole pages */
#define PROG_DATA_SIZE 0x40000
#define HEAL_OFFSET    (SLOT_CALLS_SIZE + PROG_DATA_SIZE)
#define HEAL_SIZE      0x4000
#define SLOT_SIZE      (HEAL_OFFSET + HEAL_SIZE)

#endif
