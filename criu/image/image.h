/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Image files: the table of kinds, framing, entries. Used by dump, restore, the servers and crit.
 *
 * An image is a magic or two and then entries: u32 size, that many bytes of protobuf, and for some
 * kinds raw bytes after each entry (the caller reads or writes those with image_read_raw() and
 * image_write_raw()). Every size is checked before use; an error names file and offset, and is logged here.
 * The format is CRIU's, images version 1.1 (criu.org/Images).
 */
#ifndef CRIU_IMAGE_IMAGE_H
#define CRIU_IMAGE_IMAGE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define IMG_COMMON_MAGIC  0x54564319
#define IMG_SERVICE_MAGIC 0x55105940
#define IMG_VERSION	  2 /* 1.1 */

/* One row of the table of image kinds (image/kinds.c). */
struct image_kind {
	const char *name; /* "REG_FILES": what crit calls the magic */
	const char *
		file; /* "core-%u.img": printf format; at most one id: an unsigned long, or a string for stats-%s */
	uint32_t magic; /* 0: raw, no header, no entries */
	const ProtobufCMessageDescriptor
		*entry; /* message of every entry; NULL where unknown or raw */
	const ProtobufCMessageDescriptor
		*head; /* message of the first entry where it differs (pagemap_head) */
};

enum image_type {
	IMG_INVENTORY,
	IMG_PSTREE,
	IMG_CORE,
	IMG_IDS,
	IMG_MM,
	IMG_FS,
	IMG_FDINFO,
	IMG_FILES,
	IMG_PAGEMAP,
	IMG_SHMEM_PAGEMAP,
	IMG_PAGES,
	IMG_REMAP_FPATH,
	IMG_GHOST_FILE,
	IMG_PIPES_DATA,
	IMG_FIFO_DATA,
	IMG_SK_QUEUES,
	IMG_MEMFD_INODE,
	IMG_TIMENS,
	IMG_FILE_LOCKS,
	IMG_SECCOMP,
	IMG_TCP_STREAM,
	IMG_CGROUP,
	IMG_UTSNS,
	IMG_IPC_VAR,
	IMG_IPCNS_SHM,
	IMG_IPCNS_MSG,
	IMG_IPCNS_SEM,
	IMG_MNTS,
	IMG_NETDEV,
	IMG_NETNS,
	IMG_USERNS,
	IMG_PIDNS,
	IMG_TTY_INFO,
	IMG_TTY_DATA,
	IMG_TTY_FILES,
	IMG_CPUINFO,
	IMG_STATS,
	IMG_IRMAP_CACHE,
	IMG_BPFMAP_DATA,
	IMG_BPFMAP_FILE,
	IMG_APPARMOR,
	IMG_AUTOFS,
	IMG_TUNFILE,
	IMG_BINFMT_MISC,
	IMG_REG_FILES,
	IMG_EXT_FILES,
	IMG_NS_FILES,
	IMG_EVENTFD_FILE,
	IMG_EVENTPOLL_FILE,
	IMG_EVENTPOLL_TFD,
	IMG_SIGNALFD,
	IMG_INOTIFY_FILE,
	IMG_INOTIFY_WD,
	IMG_FANOTIFY_FILE,
	IMG_FANOTIFY_MARK,
	IMG_VMAS,
	IMG_PIPES,
	IMG_FIFO,
	IMG_SIGACT,
	IMG_UNIXSK,
	IMG_INETSK,
	IMG_PACKETSK,
	IMG_NETLINK_SK,
	IMG_ITIMERS,
	IMG_POSIX_TIMERS,
	IMG_CREDS,
	IMG_RLIMIT,
	IMG_TIMERFD,
	IMG_PIDFD,
	IMG_SIGNAL,
	IMG_PSIGNAL,
	IMG_IFADDR,
	IMG_ROUTE,
	IMG_ROUTE6,
	IMG_RULE,
	IMG_IPTABLES,
	IMG_IP6TABLES,
	IMG_NFTABLES,
	IMG_TMPFS,
	IMG_TMPFS_DEV,
	IMG_NETNF_CT,
	IMG_NETNF_EXP,
	IMG_HUGEPAGES,
	IMG_TYPES
};

extern const struct image_kind image_kinds[IMG_TYPES];

/* Which kind's files are called like NAME, and the id in it (0: none); -1: none is. */
int image_type_by_name(const char *name, unsigned long *id);

struct image; /* an open image file */

/*
 * Creates DIRFD/<file of TYPE with ID> (mode 0600, truncated) and writes its magics. ID: 0 where the
 * name has none. NULL: logged. Writing is buffered; image_close() reports late errors.
 */
struct image *image_create(int dirfd, enum image_type type, unsigned long id);
struct image *image_create_str(int dirfd, enum image_type type, const char *id); /* stats-%s */
/* For kinds with "no entries, no file at all": the file appears with its first image_write(). */
struct image *image_create_lazily(int dirfd, enum image_type type, unsigned long id);

/*
 * Opens for reading and checks the magics. NULL with errno ENOENT and nothing logged where the file
 * does not exist and MUST_EXIST is false; NULL otherwise: logged.
 */
struct image *image_open(int dirfd, enum image_type type, unsigned long id, bool must_exist);
struct image *image_open_str(int dirfd, enum image_type type, const char *id, bool must_exist);
/* Any image file, its kind found by its magic (crit). *TYPE is set. FD is taken over. */
struct image *image_open_fd(int fd, const char *name, enum image_type *type);

/* Writes the magics of TYPE to an open descriptor (crit: standard output), which is taken over. NAME is for messages. */
struct image *image_create_fd(int fd, const char *name, enum image_type type);

/* Writes one entry (any protobuf-c message: pass &m->base). -1: logged. */
int image_write(struct image *img, const ProtobufCMessage *msg);
/* Raw bytes after an entry. */
int image_write_raw(struct image *img, const void *buf, size_t len);
/* Raw bytes from another descriptor (at *OFF, or its position), without a trip through memory where possible. */
int image_write_from(struct image *img, int fd, off_t *off, size_t len);

/*
 * Reads the next entry into *MSG (protobuf_c_message_free_unpacked, or the type's own free).
 * 1: an entry, 0: end of file exactly at a boundary, -1: damaged, logged with file and offset.
 */
int image_read_desc(struct image *img, const ProtobufCMessageDescriptor *desc,
		    ProtobufCMessage **msg);
/*
 * The two halves of it, for who knows the bytes of a message better: the next entry's bytes, valid until the next call; and what
 * they say (START: the entry's offset, for messages). Results as above.
 */
int image_read_bytes(struct image *img, const uint8_t **bytes, uint32_t *size);
int image_decode(struct image *img, const ProtobufCMessageDescriptor *desc, off_t start,
		 const uint8_t *bytes, uint32_t size, ProtobufCMessage **msg);
/* The same with the descriptor of the kind (its head for the first entry where it has one). */
int image_read(struct image *img, ProtobufCMessage **msg);
/* Typed: image_read_as(img, &entry) with `FsEntry *entry`. */
#define image_read_as(img, pp) image_read(img, (ProtobufCMessage **)(pp))
/* The single entry of an image that has exactly one; 0, or -1 logged. */
int image_read_one(int dirfd, enum image_type type, unsigned long id, ProtobufCMessage **msg);
/* Writes an image of exactly one entry. */
int image_write_one(int dirfd, enum image_type type, unsigned long id, const ProtobufCMessage *msg);
/* Exactly LEN raw bytes. -1: logged. */
int image_read_raw(struct image *img, void *buf, size_t len);
/* Passes over LEN raw bytes. -1: logged. */
int image_skip(struct image *img, uint64_t len);
/* Bytes from here to the end of file; -1 where it is not known (pipes). */
off_t image_bytes_left(struct image *img);
/* -1, logged, where the file is known to hold fewer than LEN more bytes for WHAT ("the queue"): ask before allocating. */
int image_check_left(struct image *img, uint64_t len, const char *what);
/* Where the next byte is read or written, for messages. */
off_t image_offset(const struct image *img);

/* The descriptor; for IMG_PAGES and other raw kinds, whose bytes the caller moves itself (img may not be mixed with buffered calls). */
int image_fd(struct image *img);
const char *image_name(const struct image *img); /* file name inside its directory */
/* Flushes and frees. -1: a write failed, logged. NULL is fine. */
int image_close(struct image *img);
static inline void cleanup_imagep(struct image **img)
{
	image_close(*img);
}
#define cleanup_image __attribute__((cleanup(cleanup_imagep)))

#endif
