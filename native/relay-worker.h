/*
 * A thread that moves the bytes of proxied connections: it accepts, connects, and copies from one socket to the other.
 * One epoll of its own, edge-triggered, to which each socket is added once and never changed. No Node-API here.
 *
 * What a side does not take at once (64 KiB at most, and a header) waits for it in memory of its own; nothing more is read
 * from the other side meanwhile.
 */
#ifndef HOLDFAST_RELAY_WORKER_H
#define HOLDFAST_RELAY_WORKER_H
#include "relay-hub.h"
#include <netinet/tcp.h>
#include <signal.h>
#include <time.h>

enum {
  CHUNK = 64 * 1024,
  ROUNDS = 4,        /* chunks of one direction in one turn, so that a fast sender takes no more than its share */
  ACCEPTS = 16,      /* of one listener in one turn */
  READY = 256,       /* sockets that one turn looks at */
  CROWDED_MS = 100,  /* a listener that found no descriptor free is looked at again after so long */
  STACK = 256 * 1024
};
enum state { ARRIVED, ASKING, CONNECTING, STANDING, OVER };

struct side {
  enum watched watched;
  int fd;               /* -1: not yet */
  struct relay *relay;
  bool readable;        /* something is there, or may be */
  bool ending;          /* its end or an error may stand behind it */
  bool finished;        /* it sends no more, and all of it was taken */
  bool shut;            /* it was told that no more comes */
  bool undelayed;       /* Nagle's algorithm is off */
  bool sent;            /* something was */
  uint8_t *waiting;     /* for it */
  uint32_t from, to;
};
struct relay {
  struct side client, server;
  enum state state;
  struct listener *listener;
  struct server *chosen;
  struct server *answer;              /* under the lock: chosen when the worker hears of it */
  struct worker *worker;
  struct relay *next, *last;          /* all of one worker in the order of their last byte; `last`: the one before */
  struct relay *next_again, *next_in; /* has more for its turn; waits in the inbox */
  bool again, in_inbox, followed;
  uint32_t number; /* of the question it is; 0: none */
  int64_t since;
  struct sockaddr_in6 name; /* the client's, of either family */
  uint8_t *header;
  uint32_t header_length;
};
struct line { struct relay *first, *last; };
struct worker {
  struct shared *shared;
  uint32_t index;
  pthread_t thread;
  struct { enum watched watched; int fd; } doorbell;
  int epoll;
  bool stop, sweep;        /* under the lock */
  struct relay *inbox;     /* under the lock */
  _Atomic uint32_t load;   /* connections */
  struct line opening, standing;
  struct relay *again, *over;
  int64_t now, crowded_until; /* milliseconds; 0: not crowded */
  uint8_t chunk[CHUNK];
};

static int64_t milliseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
static void append(struct line *l, struct relay *r) {
  r->next = NULL;
  r->last = l->last;
  if (l->last) l->last->next = r;
  else l->first = r;
  l->last = r;
}
static void take_out(struct line *l, struct relay *r) {
  if (r->last) r->last->next = r->next;
  else l->first = r->next;
  if (r->next) r->next->last = r->last;
  else l->last = r->last;
}
static struct line *line_of(struct worker *w, const struct relay *r) {
  return r->state == STANDING ? &w->standing : &w->opening;
}
static void touch(struct worker *w, struct relay *r) {
  if (r->since == w->now) return;
  r->since = w->now;
  take_out(&w->standing, r);
  append(&w->standing, r);
}

/* ----------------------------------------------------------------------------------------------------------- ending */

static void close_side(struct side *s, bool reset) {
  if (s->fd < 0) return;
  if (reset) {
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  close(s->fd);
  s->fd = -1;
  free(s->waiting);
  s->waiting = NULL;
}
/* With the lock held: JavaScript need not answer, or answers too late. */
static void forget(struct shared *s, struct relay *r) {
  if (r->followed) tell(s, SETTLED, r->number, r->listener, -1, 0, &r->name);
  if (r->answer) atomic_fetch_sub_explicit(&r->answer->opening, 1, memory_order_relaxed);
  r->answer = NULL;
  forget_question(s, r->number);
  r->number = 0;
}
/* It is with this server no more. */
static void leave_server(struct relay *r) {
  if (!r->chosen) return;
  atomic_fetch_sub_explicit(r->state == STANDING ? &r->chosen->active : &r->chosen->opening, 1, memory_order_relaxed);
  r->chosen = NULL;
}
/* `reset`: the client, or the server, sees that it was cut. Freed when nothing of this turn may speak of it any more. */
static void end_relay(struct worker *w, struct relay *r, bool reset_client, bool reset_server) {
  struct shared *s = w->shared;
  close_side(&r->client, reset_client);
  close_side(&r->server, reset_server);
  leave_server(r);
  take_out(line_of(w, r), r);
  if (r->number) {
    pthread_mutex_lock(&s->lock);
    forget(s, r);
    pthread_mutex_unlock(&s->lock);
  }
  atomic_fetch_sub_explicit(&s->open, 1, memory_order_relaxed);
  atomic_fetch_sub_explicit(&w->load, 1, memory_order_relaxed);
  r->state = OVER;
  r->next = w->over;
  w->over = r;
}
static void cut(struct worker *w, struct relay *r) { end_relay(w, r, true, true); }
/* One side broke: the other is cut. */
static void broken(struct worker *w, struct relay *r, const struct side *s) {
  end_relay(w, r, s != &r->client, s != &r->server);
}
static void bury(struct worker *w) {
  struct relay *r = w->over, *kept = NULL;
  while (r) {
    struct relay *next = r->next;
    if (r->in_inbox || r->again) {
      r->next = kept;
      kept = r;
    } else {
      free(r->header);
      free(r);
    }
    r = next;
  }
  w->over = kept;
}

/* ----------------------------------------------------------------------------------------------------------- moving */

static struct side *opposite(struct side *s) { return s == &s->relay->client ? &s->relay->server : &s->relay->client; }

/* To a socket, as much as it takes: how much, or -1 when it broke. */
static ssize_t put(struct side *s, const uint8_t *bytes, size_t length) {
  const int on = 1;
  ssize_t n;
  /* Nagle's algorithm delays nothing while nothing is on its way: it is switched off before the second write. */
  if (s->sent && !s->undelayed) {
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    s->undelayed = true;
  }
  s->sent = true;
  do n = send(s->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  if (n < 0) return errno == EAGAIN ? 0 : -1;
  if (s == &s->relay->client) atomic_fetch_add_explicit(&s->relay->chosen->out, (uint64_t)n, memory_order_relaxed);
  return n;
}
/* Bytes for it, before which nothing waits. False: it broke, or there is no memory to keep them in. */
static bool give(struct worker *w, struct side *s, const uint8_t *bytes, size_t length) {
  ssize_t n = put(s, bytes, length);
  if (n == (ssize_t)length) return true;
  s->waiting = n < 0 ? NULL : malloc(length - (size_t)n);
  if (!s->waiting) {
    broken(w, s->relay, s);
    return false;
  }
  s->from = 0;
  s->to = (uint32_t)(length - (size_t)n);
  memcpy(s->waiting, bytes + n, s->to);
  return true;
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
    ssize_t n = put(to, to->waiting + to->from, to->to - to->from);
    if (n < 0) broken(w, to->relay, to);
    if (n <= 0) return false;
    to->from += (uint32_t)n;
    if (to->from < to->to) continue;
    free(to->waiting);
    to->waiting = NULL;
  }
  return !opposite(to)->finished || hand_end(w, to);
}
/* From one side to the other, as long as the one has something and the other takes it. */
static void pump(struct worker *w, struct side *from) {
  struct relay *r = from->relay;
  struct side *to = opposite(from);
  for (int i = 0; i < ROUNDS; i++) {
    if (from->finished || to->waiting || !from->readable) return;
    ssize_t n = recv(from->fd, w->chunk, CHUNK, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      from->readable = false; /* told when more is there */
      if (errno != EAGAIN) broken(w, r, from);
      return;
    }
    if (n == 0) {
      from->finished = true;
      hand_end(w, to);
      return;
    }
    if (n < CHUNK && !from->ending) from->readable = false;
    if (from == &r->client) atomic_fetch_add_explicit(&r->chosen->in, (uint64_t)n, memory_order_relaxed);
    if (!give(w, to, w->chunk, (size_t)n)) return;
  }
  if (!from->readable || r->again) return;
  r->again = true;
  r->next_again = w->again;
  w->again = r;
}

/* ---------------------------------------------------------------------------------------------------------- opening */

static int look_at(struct worker *w, struct side *s) {
  struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = s};
  return epoll_ctl(w->epoll, EPOLL_CTL_ADD, s->fd, &e);
}
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
  pump(w, &r->client);
}
/* Its server is chosen, and counts it among those that are being opened. */
static void open_to(struct worker *w, struct relay *r) {
  const struct server *v = r->chosen;
  const int on = 1;
  int fd = socket(v->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  r->server = (struct side){.watched = SIDE, .fd = fd, .relay = r};
  r->state = CONNECTING;
  r->since = w->now;
  take_out(&w->opening, r);
  append(&w->opening, r);
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
  if (failed != 0 || look_at(w, &r->server) < 0) refused(w, r, errno);
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
/* A connection that is this worker's from now on. */
static void settle(struct worker *w, struct relay *r) {
  r->worker = w;
  r->since = w->now;
  append(&w->opening, r);
  if (look_at(w, &r->client) < 0) cut(w, r);
  else choose(w, r);
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
static void resume_listeners(struct worker *w) {
  struct shared *s = w->shared;
  w->crowded_until = 0;
  pthread_mutex_lock(&s->lock);
  for (uint32_t i = 0; i < s->front_places; i++)
    for (struct listener *l = s->fronts[i] ? s->fronts[i]->listeners : NULL; l; l = l->next)
      if (l->paused[w->index] && !s->fronts[i]->gone) {
        l->paused[w->index] = false;
        listen_on(w, l);
      }
  pthread_mutex_unlock(&s->lock);
}

/* ------------------------------------------------------------------------------------------------------------ turns */

static void on_side(struct worker *w, struct side *s, uint32_t events) {
  struct relay *r = s->relay;
  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) s->readable = true;
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) s->ending = true;
  if (r->state == OVER) return;
  if (r->state == STANDING) {
    touch(w, r);
    if (events & EPOLLOUT && s->waiting && flush(w, s)) pump(w, opposite(s));
    if (r->state == STANDING && s->readable) pump(w, s);
    /* Cut, and nothing is read from it any more that would say so. */
    if (r->state == STANDING && events & EPOLLERR && (s->finished || opposite(s)->waiting)) broken(w, r, s);
  } else if (s == &r->client) {
    if (events & EPOLLERR) broken(w, r, s); /* before it had a server */
  } else if (s->fd >= 0) {
    int error = 0;
    socklen_t n = sizeof error;
    if (events & (EPOLLERR | EPOLLHUP)) getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &n);
    if (error != 0) refused(w, r, error);
    else if (events & EPOLLOUT) {
      stands(w, r);
      if (r->state == STANDING && s->readable) pump(w, s);
    }
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
    else if (r->state == ASKING && r->chosen) open_to(w, r);
    else if (r->state == ASKING) cut(w, r); /* nobody takes it */
  }
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
  if (w->crowded_until && w->crowded_until <= w->now) resume_listeners(w);
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
  if (w->again) return 0;
  return due == INT64_MAX ? -1 : due - w->now > INT32_MAX ? INT32_MAX : (int)(due - w->now);
}
static void *work(void *worker) {
  struct worker *w = worker;
  struct epoll_event ready[READY];
  w->now = milliseconds();
  for (bool go = true; go;) {
    int n = epoll_wait(w->epoll, ready, READY, expire(w));
    bool called = false;
    w->now = milliseconds();
    struct relay *again = w->again;
    w->again = NULL;
    for (int i = 0; i < n; i++) {
      enum watched *what = ready[i].data.ptr;
      if (*what == SIDE) on_side(w, ready[i].data.ptr, ready[i].events);
      else if (*what == LISTENER) accept_some(w, ready[i].data.ptr);
      else called = true;
    }
    for (struct relay *next; again; again = next) {
      next = again->next_again;
      again->again = false;
      if (again->state == STANDING) pump(w, &again->client);
      if (again->state == STANDING) pump(w, &again->server);
    }
    bury(w);
    if (called) go = serve_inbox(w);
  }
  return NULL;
}

/* ---------------------------------------------------------------------------------------------------------- threads */

static void free_worker(struct worker *w) {
  for (struct relay *r = w->inbox, *next; r; r = next) {
    next = r->next_in;
    r->in_inbox = false;
    if (r->state == ARRIVED) append(&w->opening, r);
  }
  while (w->opening.first) cut(w, w->opening.first);
  while (w->standing.first) cut(w, w->standing.first);
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
