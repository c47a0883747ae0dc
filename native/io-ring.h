/*
 * An io_uring whose two rings are mapped: made, entered, taken down. What is handed over and what comes back is the
 * business of those who use it. io_uring(7), io_uring_setup(2).
 */
#ifndef HOLDFAST_IO_RING_H
#define HOLDFAST_IO_RING_H
#include <errno.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct io_ring {
  int fd; /* -1: there is none */
  unsigned *sq_head, *sq_tail, *sq_flags, *cq_head, *cq_tail;
  unsigned *cq_flags; /* NULL before Linux 5.8 */
  unsigned sq_mask, cq_mask;
  struct io_uring_sqe *sqes;
  struct io_uring_cqe *cqes;
  uint8_t *map; /* of both rings */
  size_t bytes, sqe_bytes;
};

/* Again is harmless. */
static inline void close_io_ring(struct io_ring *r) {
  if (r->fd < 0) return;
  if (r->sqes) munmap(r->sqes, r->sqe_bytes);
  if (r->map) munmap(r->map, r->bytes);
  close(r->fd);
  r->sqes = NULL;
  r->map = NULL;
  r->fd = -1;
}

static inline void *map_io_ring(const struct io_ring *r, size_t bytes, off_t what) {
  void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, what);
  return at == MAP_FAILED ? NULL : at;
}

/* 0, or the negative errno, and then there is none: -EINVAL where the kernel does not know one of the flags. */
static inline int open_io_ring(struct io_ring *r, unsigned entries, unsigned flags) {
  struct io_uring_params p = {.flags = flags};
  *r = (struct io_ring){.fd = (int)syscall(__NR_io_uring_setup, entries, &p)};
  if (r->fd < 0) return -errno;
  int failed = 0;
  if (p.sq_entries < entries) failed = ENOSPC;
  else if (!(p.features & IORING_FEAT_SINGLE_MMAP)) failed = ENOSYS; /* Linux 5.4 */
  if (!failed) {
    size_t sq = p.sq_off.array + p.sq_entries * sizeof(unsigned), cq = p.cq_off.cqes + p.cq_entries * sizeof *r->cqes;
    r->bytes = sq > cq ? sq : cq;
    r->sqe_bytes = p.sq_entries * sizeof *r->sqes;
    if (!(r->map = map_io_ring(r, r->bytes, IORING_OFF_SQ_RING)) ||
        !(r->sqes = map_io_ring(r, r->sqe_bytes, IORING_OFF_SQES)))
      failed = errno;
  }
  if (failed) {
    close_io_ring(r);
    return -failed;
  }
  r->sq_head = (unsigned *)(r->map + p.sq_off.head);
  r->sq_tail = (unsigned *)(r->map + p.sq_off.tail);
  r->sq_flags = (unsigned *)(r->map + p.sq_off.flags);
  r->sq_mask = *(unsigned *)(r->map + p.sq_off.ring_mask);
  r->cq_head = (unsigned *)(r->map + p.cq_off.head);
  r->cq_tail = (unsigned *)(r->map + p.cq_off.tail);
  r->cq_flags = p.cq_off.flags ? (unsigned *)(r->map + p.cq_off.flags) : NULL;
  r->cq_mask = *(unsigned *)(r->map + p.cq_off.ring_mask);
  r->cqes = (struct io_uring_cqe *)(r->map + p.cq_off.cqes);
  unsigned *array = (unsigned *)(r->map + p.sq_off.array);
  for (unsigned i = 0; i < p.sq_entries; i++) array[i] = i;
  return 0;
}

/* What the kernel took, or -1 with errno. */
static inline int enter_io_ring(const struct io_ring *r, unsigned submit, unsigned wait) {
  return (int)syscall(__NR_io_uring_enter, r->fd, submit, wait, IORING_ENTER_GETEVENTS, NULL, 0);
}
#endif
