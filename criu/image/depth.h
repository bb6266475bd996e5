/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Nesting of protobuf messages. The unpacker calls itself for every message inside a message; types that
 * contain themselves (cgroup directories, AppArmor namespaces) would let a hostile image use up the stack.
 * Called by image.c before it unpacks, and by crit where it does so itself.
 */
#ifndef CRIU_IMAGE_DEPTH_H
#define CRIU_IMAGE_DEPTH_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#define MESSAGE_MAX_DEPTH 100

/* False where the LEN packed bytes at P, read as DESC, hold messages nested deeper than MESSAGE_MAX_DEPTH. */
bool message_depth_ok(const ProtobufCMessageDescriptor *desc, const uint8_t *p, size_t len);

#endif
