/*
 * Several system calls in one: what none of them waits for is handed to the kernel through an io_uring and is done when the
 * call returns; where there is no io_uring, or too little to hand over, one by one, with the same results. io_uring(7).
 */
#ifndef HOLDFAST_RELAY_BATCH_H
#define HOLDFAST_RELAY_BATCH_H
#include "io-ring.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

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
/* By the thread that will use it, and no other. Where it is forbidden, and before Linux 6.1, there is none. */
static void open_ring(struct io_ring *r) {
  open_io_ring(r, CALLS, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL);
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
static void perform(struct io_ring *r, int epoll, struct batch *b) {
  uint32_t n = b->count, begun = 0, done = 0;
  if (r->fd < 0 || n < WORTH_A_RING) {
    for (uint32_t i = 0; i < n; i++) perform_one(epoll, &b->calls[i]);
    return;
  }
  unsigned tail = *r->sq_tail, head = *r->cq_head;
  for (uint32_t i = 0; i < n; i++) describe(&r->sqes[(tail + i) & r->sq_mask], epoll, &b->calls[i], i);
  __atomic_store_n(r->sq_tail, tail + n, __ATOMIC_RELEASE);
  while (done < n) {
    int took = enter_io_ring(r, n - begun, n - done);
    if (took > 0) begun += (uint32_t)took;
    for (; head != __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE); head++, done++) {
      const struct io_uring_cqe *c = &r->cqes[head & r->cq_mask];
      b->calls[c->user_data].result = c->res;
    }
    __atomic_store_n(r->cq_head, head, __ATOMIC_RELEASE);
    if (took < 0 && errno != EINTR && done == begun) break;
  }
  if (done == n) return;
  close_io_ring(r); /* the kernel takes no more: it took them in order */
  for (uint32_t i = begun; i < n; i++) perform_one(epoll, &b->calls[i]);
}
#endif
