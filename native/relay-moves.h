/*
 * How the bytes of a worker's connections move: from many sockets in one call, and to as many in another. No Node-API here.
 *
 * What a side does not take at once (64 KiB at most, and a header) waits for it in memory of its own; nothing more is read
 * from the other side meanwhile.
 */
#ifndef HOLDFAST_RELAY_MOVES_H
#define HOLDFAST_RELAY_MOVES_H
#include "relay-ends.h"
#include <netinet/tcp.h>

enum { ROUNDS = 4 /* chunks of one side in one turn, so that a fast sender takes no more than its share */ };

/* It is read from in this turn, or in the next. */
static void want(struct worker *w, struct side *s) {
  if (s->wanted || !s->readable) return;
  s->wanted = true;
  s->next_wanted = NULL;
  *w->wanted_end = s;
  w->wanted_end = &s->next_wanted;
}
/* Nagle's algorithm delays nothing while nothing is on its way: it is switched off before the second write. */
static void before_send(struct side *s) {
  const int on = 1;
  if (s->sent && !s->undelayed) {
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    s->undelayed = true;
  }
  s->sent = true;
}
/* What was sent to it of so much, or the negative errno: the rest waits. False: it broke, or there is no memory for it. */
static bool sent(struct worker *w, struct side *s, const uint8_t *bytes, size_t length, ssize_t n) {
  if (n == -EAGAIN) n = 0;
  if (n > 0 && s == &s->relay->client)
    atomic_fetch_add_explicit(&s->relay->chosen->out, (uint64_t)n, memory_order_relaxed);
  if (n == (ssize_t)length) return true;
  uint8_t *kept = n < 0 ? NULL : malloc(length - (size_t)n);
  if (!kept) {
    broken(w, s->relay, s);
    return false;
  }
  s->waiting = kept;
  s->from = 0;
  s->to = (uint32_t)(length - (size_t)n);
  memcpy(kept, bytes + n, s->to);
  return true;
}
/* Bytes for it, before which nothing waits. False: it broke, or there is no memory to keep them in. */
static bool give(struct worker *w, struct side *s, uint8_t *bytes, size_t length) {
  struct call c = {.what = SEND, .fd = s->fd, .bytes = bytes, .length = length};
  before_send(s);
  perform_one(w->epoll, &c);
  return sent(w, s, bytes, length, c.result);
}
/* Nothing more comes for it, and nothing waits. False: the connection is over. */
static bool hand_end(struct worker *w, struct side *to) {
  struct side *from = opposite(to);
  if (to->finished && !from->waiting) { /* both ends are handed on, the last one by the close itself */
    end_relay(w, to->relay, false, false);
    return false;
  }
  if (!to->shut) shutdown(to->fd, SHUT_WR);
  to->shut = true;
  return true;
}
/* What waits for it. False: something still does, or the connection is over. */
static bool flush(struct worker *w, struct side *to) {
  while (to->waiting) {
    struct call c = {.what = SEND, .fd = to->fd, .bytes = to->waiting + to->from, .length = to->to - to->from};
    before_send(to);
    perform_one(w->epoll, &c);
    if (c.result < 0 && c.result != -EAGAIN) broken(w, to->relay, to);
    if (c.result <= 0) return false;
    if (to == &to->relay->client)
      atomic_fetch_add_explicit(&to->relay->chosen->out, (uint64_t)c.result, memory_order_relaxed);
    to->from += (uint32_t)c.result;
    if (to->from < to->to) continue;
    free(to->waiting);
    to->waiting = NULL;
  }
  return !opposite(to)->finished || hand_end(w, to);
}

/* What came from one side, or the negative errno. */
static void received(struct worker *w, struct side *from, uint8_t *bytes, ssize_t n) {
  struct relay *r = from->relay;
  struct side *to = opposite(from);
  if (n == -EAGAIN) {
    from->readable = false; /* told when more is there */
  } else if (n < 0) {
    broken(w, r, from);
  } else if (n == 0) {
    from->finished = true;
    from->readable = false;
    hand_end(w, to);
  } else {
    if (n < CHUNK && !from->ending) from->readable = false;
    if (from == &r->client) atomic_fetch_add_explicit(&r->chosen->in, (uint64_t)n, memory_order_relaxed);
    before_send(to);
    w->sends.calls[w->sends.count++] =
        (struct call){.what = SEND, .fd = to->fd, .bytes = bytes, .length = (size_t)n, .of = to};
    want(w, from);
  }
}
/* From as many sides of the list as one call reads from, each to the other; the rest of the list. */
static struct side *move_some(struct worker *w, struct side *list) {
  struct batch *in = &w->receives, *out = &w->sends;
  in->count = out->count = 0;
  for (; list && in->count < CALLS; list = list->next_wanted) {
    list->wanted = false;
    if (list->relay->state != STANDING || list->finished || opposite(list)->waiting) continue;
    in->calls[in->count] = (struct call){
        .what = RECEIVE, .fd = list->fd, .bytes = w->chunks + in->count * APART, .length = CHUNK, .of = list};
    in->count++;
  }
  perform(&w->ring, w->epoll, in);
  for (uint32_t i = 0; i < in->count; i++) {
    struct side *from = in->calls[i].of;
    if (from->relay->state == STANDING) received(w, from, in->calls[i].bytes, in->calls[i].result);
  }
  uint32_t kept = 0; /* without those of connections that broke meanwhile */
  for (uint32_t i = 0; i < out->count; i++)
    if (((struct side *)out->calls[i].of)->relay->state == STANDING) out->calls[kept++] = out->calls[i];
  out->count = kept;
  perform(&w->ring, w->epoll, out);
  for (uint32_t i = 0; i < kept; i++) {
    const struct call *c = &out->calls[i];
    struct side *to = c->of;
    if (to->relay->state == STANDING) sent(w, to, c->bytes, c->length, c->result);
  }
  return list;
}
/* All that may be read, as long as its other side takes it. What is left has its turn after what has come meanwhile. */
static void move_all(struct worker *w) {
  for (int i = 0; i < ROUNDS && w->wanted; i++) {
    struct side *list = w->wanted;
    w->wanted = NULL;
    w->wanted_end = &w->wanted;
    while (list) list = move_some(w, list);
  }
}
#endif
