/*
 * Several system calls in one: what none of them waits for is handed to the kernel through an io_uring and is done when the
 * call returns; where there is no io_uring, or too little to hand over, one by one, with the same results. io_uring(7).
 */
#ifndef HOLDFAST_RELAY_BATCH_H
#define HOLDFAST_RELAY_BATCH_H
#include <errno.h>
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CALLS = 32, WORTH_A_RING = 3 };
enum what { RECEIVE, SEND, CLOSE, LOOK /* epoll_ctl, EPOLL_CTL_ADD */ };
struct call {
  enum what what;
  int fd;
  void *bytes;
  size_t length;
  struct epoll_event events;
  void *of;       /* the caller's */
  ssize_t result; /* or the negative errno */
};
struct batch {
  uint32_t count;
  struct call calls[CALLS];
};
struct ring {
  int fd; /* -1: there is none */
  unsigned *sq_tail, *cq_head, *cq_tail, sq_mask, cq_mask;
  uint8_t *map;
  size_t bytes, sqe_bytes;
  struct io_uring_sqe *sqes;
  struct io_uring_cqe *cqes;
};

static void close_ring(struct ring *r) {
  if (r->fd < 0) return;
  munmap(r->sqes, r->sqe_bytes);
  munmap(r->map, r->bytes);
  close(r->fd);
  r->fd = -1;
}
/* By the thread that will use it, and no other. */
static void open_ring(struct ring *r) {
  struct io_uring_params p = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL};
  int fd = (int)syscall(__NR_io_uring_setup, CALLS, &p);
  r->fd = -1;
  if (fd < 0) return; /* forbidden, or a kernel before 6.1 */
  size_t sq = p.sq_off.array + p.sq_entries * sizeof(unsigned), cq = p.cq_off.cqes + p.cq_entries * sizeof *r->cqes;
  r->bytes = sq > cq ? sq : cq; /* one mapping for both, since Linux 5.4 */
  r->sqe_bytes = p.sq_entries * sizeof *r->sqes;
  r->map = mmap(NULL, r->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQ_RING);
  r->sqes = mmap(NULL, r->sqe_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQES);
  if (r->map == MAP_FAILED || (void *)r->sqes == MAP_FAILED) {
    if (r->map != MAP_FAILED) munmap(r->map, r->bytes);
    if ((void *)r->sqes != MAP_FAILED) munmap(r->sqes, r->sqe_bytes);
    close(fd);
    return;
  }
  r->fd = fd;
  r->sq_tail = (unsigned *)(r->map + p.sq_off.tail);
  r->sq_mask = *(unsigned *)(r->map + p.sq_off.ring_mask);
  r->cq_head = (unsigned *)(r->map + p.cq_off.head);
  r->cq_tail = (unsigned *)(r->map + p.cq_off.tail);
  r->cq_mask = *(unsigned *)(r->map + p.cq_off.ring_mask);
  r->cqes = (struct io_uring_cqe *)(r->map + p.cq_off.cqes);
  unsigned *array = (unsigned *)(r->map + p.sq_off.array);
  for (unsigned i = 0; i < p.sq_entries; i++) array[i] = i;
}

static void perform_one(int epoll, struct call *c) {
  int r = 0;
  switch (c->what) {
    case RECEIVE:
      do c->result = recv(c->fd, c->bytes, c->length, MSG_DONTWAIT);
      while (c->result < 0 && errno == EINTR);
      break;
    case SEND:
      do c->result = send(c->fd, c->bytes, c->length, MSG_DONTWAIT | MSG_NOSIGNAL);
      while (c->result < 0 && errno == EINTR);
      break;
    case CLOSE:
      c->result = r = close(c->fd);
      break;
    case LOOK:
      c->result = r = epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &c->events);
      break;
  }
  if (c->result < 0) c->result = -errno;
}
static void describe(struct io_uring_sqe *e, int epoll, const struct call *c, uint64_t number) {
  memset(e, 0, sizeof *e);
  e->user_data = number;
  e->fd = c->fd;
  switch (c->what) {
    case RECEIVE:
    case SEND:
      e->opcode = c->what == SEND ? IORING_OP_SEND : IORING_OP_RECV;
      e->addr = (uint64_t)(uintptr_t)c->bytes;
      e->len = (uint32_t)c->length;
      e->msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
      break;
    case CLOSE:
      e->opcode = IORING_OP_CLOSE;
      break;
    case LOOK:
      e->opcode = IORING_OP_EPOLL_CTL;
      e->fd = epoll;
      e->len = EPOLL_CTL_ADD;
      e->off = (uint64_t)c->fd;
      e->addr = (uint64_t)(uintptr_t)&c->events;
      break;
  }
}
/* Each call has its result when this returns; and they were begun in this order. */
static void perform(struct ring *r, int epoll, struct batch *b) {
  uint32_t n = b->count, begun = 0, done = 0;
  if (r->fd < 0 || n < WORTH_A_RING) {
    for (uint32_t i = 0; i < n; i++) perform_one(epoll, &b->calls[i]);
    return;
  }
  unsigned tail = *r->sq_tail, head = *r->cq_head;
  for (uint32_t i = 0; i < n; i++) describe(&r->sqes[(tail + i) & r->sq_mask], epoll, &b->calls[i], i);
  __atomic_store_n(r->sq_tail, tail + n, __ATOMIC_RELEASE);
  while (done < n) {
    long took = syscall(__NR_io_uring_enter, r->fd, n - begun, n - done, IORING_ENTER_GETEVENTS, NULL, 0);
    if (took > 0) begun += (uint32_t)took;
    for (; head != __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE); head++, done++) {
      const struct io_uring_cqe *c = &r->cqes[head & r->cq_mask];
      b->calls[c->user_data].result = c->res;
    }
    __atomic_store_n(r->cq_head, head, __ATOMIC_RELEASE);
    if (took < 0 && errno != EINTR && done == begun) break;
  }
  if (done == n) return;
  close_ring(r); /* the kernel takes no more: it took them in order */
  for (uint32_t i = begun; i < n; i++) perform_one(epoll, &b->calls[i]);
}
#endif
