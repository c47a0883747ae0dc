/*
 * A thread that carries proxied connections. One epoll of its own, edge-triggered, to which each socket is added once and
 * never changed; each turn of it is a few calls for all sockets that are ready. No Node-API here.
 */
#ifndef HOLDFAST_RELAY_WORKER_H
#define HOLDFAST_RELAY_WORKER_H
#include "relay-opens.h"
#include <signal.h>
#include <time.h>

enum {
  READY = 256,       /* sockets that one turn looks at */
  STACK = 256 * 1024
};

static int64_t milliseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
static void on_side(struct worker *w, struct side *s, uint32_t events) {
  struct relay *r = s->relay;
  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) s->readable = true;
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) s->ending = true;
  if (r->state == OVER) return;
  if (r->state == STANDING) {
    touch(w, r);
    if (events & EPOLLOUT && s->waiting && flush(w, s)) want(w, opposite(s));
    if (r->state == STANDING) want(w, s);
    /* Cut, and nothing is read from it any more that would say so. */
    if (r->state == STANDING && events & EPOLLERR && (s->finished || opposite(s)->waiting)) broken(w, r, s);
  } else if (s == &r->client) {
    if (events & EPOLLERR) broken(w, r, s); /* before it had a server */
  } else if (s->fd >= 0) {
    int error = 0;
    socklen_t n = sizeof error;
    if (events & (EPOLLERR | EPOLLHUP)) getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &n);
    if (error != 0) refused(w, r, error);
    else if (events & EPOLLOUT) stands(w, r);
  }
}
static bool is_gone(const struct relay *r) {
  return atomic_load(&r->listener->front->gone) || (r->chosen && atomic_load(&r->chosen->gone));
}
static void sweep(struct worker *w) {
  struct line *lines[] = {&w->opening, &w->standing};
  for (int i = 0; i < 2; i++)
    for (struct relay *r = lines[i]->first, *next; r; r = next) {
      next = r->next;
      if (is_gone(r)) cut(w, r);
    }
  close_all(w);
  bury(w);
}
/* False: it is to stop. */
static bool serve_inbox(struct worker *w) {
  struct shared *s = w->shared;
  uint64_t rings;
  if (read(w->doorbell.fd, &rings, sizeof rings) < 0 && errno == EINTR) return true; /* told again */
  pthread_mutex_lock(&s->lock);
  struct relay *r = w->inbox;
  bool stop = w->stop, wanted = w->sweep;
  w->inbox = NULL;
  w->sweep = false;
  for (struct relay *i = r; i; i = i->next_in) {
    i->in_inbox = false;
    if (i->state == ASKING) i->chosen = i->answer;
    i->answer = NULL;
  }
  pthread_mutex_unlock(&s->lock);
  for (struct relay *next; r; r = next) {
    next = r->next_in;
    if (r->state == ARRIVED) settle(w, r);
    else if (r->state == ASKING && r->chosen) {
      make_room(w);
      open_to(w, r);
    }
    else if (r->state == ASKING) cut(w, r); /* nobody takes it */
  }
  look_all(w);
  if (wanted) {
    sweep(w);
    pthread_mutex_lock(&s->lock);
    if (--s->sweeping == 0) pthread_cond_signal(&s->swept);
    pthread_mutex_unlock(&s->lock);
  }
  return !stop;
}
/* Those whose time is over; milliseconds until the next one's is, or -1. */
static int expire(struct worker *w) {
  struct shared *s = w->shared;
  int64_t due = INT64_MAX;
  if (w->crowded_until && w->crowded_until <= w->now) resume(w);
  if (w->crowded_until) due = w->crowded_until;
  for (struct relay *r; (r = w->opening.first);) {
    if (r->since + s->connect_ms > w->now) {
      if (r->since + s->connect_ms < due) due = r->since + s->connect_ms;
      break;
    }
    if (r->state == CONNECTING) refused(w, r, ETIMEDOUT);
    else cut(w, r); /* nobody answers who takes it */
  }
  for (struct relay *r; (r = w->standing.first);) {
    if (r->since + s->idle_ms > w->now) {
      if (r->since + s->idle_ms < due) due = r->since + s->idle_ms;
      break;
    }
    cut(w, r);
  }
  if (w->wanted) return 0;
  return due == INT64_MAX ? -1 : due - w->now > INT32_MAX ? INT32_MAX : (int)(due - w->now);
}
static void *work(void *worker) {
  struct worker *w = worker;
  struct epoll_event ready[READY];
  if (w->shared->batches) open_ring(&w->ring);
  w->now = milliseconds();
  int patience = -1;
  for (bool go = true; go;) {
    int n = epoll_wait(w->epoll, ready, READY, patience);
    bool called = false;
    w->now = milliseconds();
    for (int i = 0; i < n; i++) {
      enum watched *what = ready[i].data.ptr;
      if (*what == SIDE) on_side(w, ready[i].data.ptr, ready[i].events);
      else if (*what == LISTENER) accept_some(w, ready[i].data.ptr);
      else called = true;
    }
    if (called) go = serve_inbox(w);
    look_all(w);
    move_all(w);
    patience = expire(w);
    look_all(w);
    close_all(w);
    bury(w);
  }
  close_io_ring(&w->ring);
  return NULL;
}

/* ---------------------------------------------------------------------------------------------------------- threads */

static void free_worker(struct worker *w) {
  for (struct side *s = w->wanted; s; s = s->next_wanted) s->wanted = false;
  for (struct relay *r = w->inbox, *next; r; r = next) {
    next = r->next_in;
    r->in_inbox = false;
    if (r->state == ARRIVED) append(&w->opening, r);
  }
  while (w->opening.first) cut(w, w->opening.first);
  while (w->standing.first) cut(w, w->standing.first);
  close_all(w);
  bury(w);
  close(w->epoll);
  close(w->doorbell.fd);
  free(w);
}
/* A worker that runs, or NULL with errno. Its signals are the main thread's; its namespaces and processors the caller's. */
static struct worker *new_worker(struct shared *s, uint32_t index) {
  struct worker *w = calloc(1, sizeof *w);
  if (!w) return NULL;
  w->shared = s;
  w->index = index;
  w->wanted_end = &w->wanted;
  w->ring.fd = -1;
  w->doorbell.watched = DOORBELL;
  w->doorbell.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  w->epoll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = &w->doorbell};
  int failed = w->epoll < 0 || w->doorbell.fd < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->doorbell.fd, &e) < 0 ? errno : 0;
  if (!failed) {
    pthread_attr_t attributes;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&w->thread, &attributes, work, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
  }
  if (!failed) return w;
  if (w->epoll >= 0) close(w->epoll);
  if (w->doorbell.fd >= 0) close(w->doorbell.fd);
  free(w);
  errno = failed;
  return NULL;
}
/* Returns when every worker has cut what is gone, and speaks of it no more. */
static void sweep_all(struct shared *s) {
  pthread_mutex_lock(&s->lock);
  s->sweeping = s->workers;
  for (uint32_t i = 0; i < s->workers; i++) {
    s->worker[i]->sweep = true;
    ring(s->worker[i]->doorbell.fd);
  }
  while (s->sweeping > 0) pthread_cond_wait(&s->swept, &s->lock);
  pthread_mutex_unlock(&s->lock);
}
static void stop_workers(struct shared *s) {
  pthread_mutex_lock(&s->lock);
  for (uint32_t i = 0; i < s->workers; i++) {
    s->worker[i]->stop = true;
    ring(s->worker[i]->doorbell.fd);
  }
  pthread_mutex_unlock(&s->lock);
  for (uint32_t i = 0; i < s->workers; i++) pthread_join(s->worker[i]->thread, NULL);
  for (uint32_t i = 0; i < s->workers; i++) free_worker(s->worker[i]);
  s->workers = 0;
}
#endif
