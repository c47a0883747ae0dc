/*
 * How a worker's connections begin: it accepts them, gives each a server, and connects. No Node-API here.
 */
#ifndef HOLDFAST_RELAY_OPENS_H
#define HOLDFAST_RELAY_OPENS_H
#include "relay-moves.h"

enum {
  ACCEPTS = 16,     /* of one listener in one turn */
  CROWDED_MS = 100  /* a listener that found no descriptor free is looked at again after so long */
};

/* JavaScript is asked who takes it, or who else. */
static void ask(struct worker *w, struct relay *r, enum told kind, int64_t server, int error) {
  struct shared *s = w->shared;
  r->state = ASKING;
  r->since = w->now;
  take_out(&w->opening, r);
  append(&w->opening, r);
  pthread_mutex_lock(&s->lock);
  if (!r->number) r->number = question_of(s, r);
  if (kind == REFUSED) r->followed = true;
  if (r->number) tell(s, kind, r->number, r->listener, server, error, &r->name);
  pthread_mutex_unlock(&s->lock);
  if (!r->number) cut(w, r);
}
static void refused(struct worker *w, struct relay *r, int error) {
  uint32_t server = r->chosen->number;
  if (r->server.fd >= 0) close(r->server.fd);
  r->server.fd = -1;
  leave_server(r);
  ask(w, r, REFUSED, server, error);
}
static void look_all(struct worker *w) {
  struct batch *b = &w->looks;
  uint32_t kept = 0; /* without those that are closed already */
  for (uint32_t i = 0; i < b->count; i++)
    if (((struct side *)b->calls[i].of)->fd == b->calls[i].fd) b->calls[kept++] = b->calls[i];
  b->count = kept;
  perform(&w->ring, w->epoll, b);
  b->count = 0;
  for (uint32_t i = 0; i < kept; i++) {
    struct side *s = b->calls[i].of;
    if (b->calls[i].result == 0 || s->fd != b->calls[i].fd) continue;
    if (s == &s->relay->client) cut(w, s->relay);
    else refused(w, s->relay, (int)-b->calls[i].result);
  }
}
/* From the end of this turn on; there is room for both sides of one connection. */
static void look_at(struct worker *w, struct side *s) {
  w->looks.calls[w->looks.count++] = (struct call){
      .what = LOOK,
      .fd = s->fd,
      .events = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = s},
      .of = s,
  };
}
static void stands(struct worker *w, struct relay *r) {
  struct shared *s = w->shared;
  struct server *v = r->chosen;
  take_out(&w->opening, r);
  r->state = STANDING;
  r->since = w->now;
  append(&w->standing, r);
  atomic_fetch_sub_explicit(&v->opening, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&v->active, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&v->opened, 1, memory_order_relaxed);
  if (r->number) {
    pthread_mutex_lock(&s->lock);
    forget(s, r);
    pthread_mutex_unlock(&s->lock);
  }
  if (r->header_length && !give(w, &r->server, r->header, r->header_length)) return;
  want(w, &r->client);
  want(w, &r->server);
}
/* Its server is chosen, and counts it among those that are being opened. */
static void open_to(struct worker *w, struct relay *r) {
  const struct server *v = r->chosen;
  const int on = 1;
  int fd = socket(v->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  r->server = (struct side){.watched = SIDE, .fd = fd, .relay = r};
  if (r->state != CONNECTING) { /* else it is tried again */
    r->state = CONNECTING;
    r->since = w->now;
    take_out(&w->opening, r);
    append(&w->opening, r);
  }
  if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
    w->crowded_until = w->now + CROWDED_MS;
    return;
  }
  if (fd < 0) {
    refused(w, r, errno);
    return;
  }
  int failed = 0;
  if (v->source_length > 0) {
    /* The port is the kernel's choice once the peer is known: the pair of both must be new, not the port alone. */
    failed = setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (failed == 0) failed = bind(fd, (const struct sockaddr *)&v->source, v->source_length);
  }
  if (failed == 0) failed = connect(fd, (const struct sockaddr *)&v->to, v->to_length) < 0 && errno != EINPROGRESS;
  if (failed != 0) refused(w, r, errno);
  else look_at(w, &r->server);
}
/* By turns; or who takes it is asked. */
static void choose(struct worker *w, struct relay *r) {
  struct shared *s = w->shared;
  struct front *f = r->listener->front;
  pthread_mutex_lock(&s->lock);
  bool asks = f->asks;
  if (!asks && f->count > 0) {
    r->chosen = f->turns[f->at];
    f->at = f->at + 1 < f->count ? f->at + 1 : 0;
    atomic_fetch_add_explicit(&r->chosen->opening, 1, memory_order_relaxed);
  }
  pthread_mutex_unlock(&s->lock);
  if (r->chosen) open_to(w, r);
  else if (asks) ask(w, r, ASKED, -1, 0);
  else cut(w, r);
}
static void make_room(struct worker *w) {
  if (w->looks.count + 2 > CALLS) look_all(w);
}
/* A connection that is this worker's from now on. */
static void settle(struct worker *w, struct relay *r) {
  make_room(w);
  r->worker = w;
  r->since = w->now;
  append(&w->opening, r);
  look_at(w, &r->client);
  choose(w, r);
}
/* The worker with the fewest connections, which is this one unless it has clearly more. */
static struct worker *least_loaded(struct worker *w) {
  struct shared *s = w->shared;
  struct worker *best = w;
  uint32_t mine = atomic_load_explicit(&w->load, memory_order_relaxed), least = mine - mine / 8;
  for (uint32_t i = 0; i < s->workers; i++) {
    uint32_t load = atomic_load_explicit(&s->worker[i]->load, memory_order_relaxed);
    if (load + 1 >= least) continue;
    least = load + 1;
    best = s->worker[i];
  }
  return best;
}
static void put_into_inbox(struct worker *w, struct relay *r) {
  r->in_inbox = true;
  r->next_in = w->inbox;
  w->inbox = r;
  ring(w->doorbell.fd);
}
static void accept_some(struct worker *w, struct listener *l) {
  struct shared *s = w->shared;
  for (int i = 0; i < ACCEPTS; i++) {
    struct sockaddr_in6 name = {0};
    socklen_t length = sizeof name;
    int fd = accept4(l->fd, (struct sockaddr *)&name, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
    if (fd < 0 && errno == EAGAIN) return;
    struct relay *r = fd < 0 ? NULL : calloc(1, sizeof *r);
    if (!r) { /* what comes waits in the kernel's queue */
      if (fd >= 0) close(fd);
      else if (errno == EINVAL) return; /* it listens no more */
      l->paused[w->index] = true;
      epoll_ctl(w->epoll, EPOLL_CTL_DEL, l->fd, NULL);
      w->crowded_until = w->now + CROWDED_MS;
      return;
    }
    r->client = (struct side){.watched = SIDE, .fd = fd, .relay = r, .undelayed = true}; /* inherited */
    r->server = (struct side){.watched = SIDE, .fd = -1, .relay = r};
    r->listener = l;
    r->name = name;
    struct worker *to = least_loaded(w);
    atomic_fetch_add_explicit(&to->load, 1, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&s->open, 1, memory_order_relaxed) >= s->most) {
      to = w;
      append(&w->opening, r);
      cut(w, r);
    } else if (to == w) {
      settle(w, r);
    } else {
      pthread_mutex_lock(&s->lock);
      put_into_inbox(to, r);
      pthread_mutex_unlock(&s->lock);
    }
  }
}
static int listen_on(struct worker *w, struct listener *l) {
  struct epoll_event e = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = l};
  return epoll_ctl(w->epoll, EPOLL_CTL_ADD, l->fd, &e);
}
static struct relay *without_socket(const struct worker *w) {
  struct relay *r = w->opening.first;
  while (r && (r->state != CONNECTING || r->server.fd >= 0)) r = r->next;
  return r;
}
/* There may be descriptors again: first for those that were accepted. */
static void resume(struct worker *w) {
  struct shared *s = w->shared;
  w->crowded_until = 0;
  for (struct relay *r; w->crowded_until == 0 && (r = without_socket(w));) {
    make_room(w);
    if (r->state == CONNECTING) open_to(w, r);
  }
  if (w->crowded_until) return;
  pthread_mutex_lock(&s->lock);
  for (uint32_t i = 0; i < s->front_places; i++)
    for (struct listener *l = s->fronts[i] ? s->fronts[i]->listeners : NULL; l; l = l->next)
      if (l->paused[w->index] && !s->fronts[i]->gone) {
        l->paused[w->index] = false;
        listen_on(w, l);
      }
  pthread_mutex_unlock(&s->lock);
}
#endif
