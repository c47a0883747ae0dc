/*
 * The connections of one worker of native/relay.c: what it knows of each, the order in which they grow old, and how they
 * end. No Node-API here.
 */
#ifndef HOLDFAST_RELAY_ENDS_H
#define HOLDFAST_RELAY_ENDS_H
#include "relay-batch.h"
#include "relay-hub.h"

enum {
  CHUNK = 64 * 1024,
  APART = CHUNK + 192 /* bytes from one chunk to the next, so that their beginnings do not share the lines of a cache */
};
enum state { ARRIVED, ASKING, CONNECTING, STANDING, OVER };

struct side {
  enum watched watched;
  int fd;               /* -1: there is none */
  struct relay *relay;
  struct side *next_wanted;
  bool wanted;          /* is in the worker's list of those to read from */
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
  struct relay *next_in;              /* waits in the inbox, too */
  bool in_inbox, followed;
  uint32_t number;                    /* of the question it is; 0: none */
  int64_t since;
  struct sockaddr_in6 name;           /* the client's, of either family */
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
  bool stop, sweep;          /* under the lock */
  struct relay *inbox;       /* under the lock */
  _Atomic uint32_t load;     /* connections */
  struct line opening, standing;
  struct side *wanted, **wanted_end;
  struct relay *over;
  int64_t now, crowded_until; /* milliseconds; 0: not crowded */
  struct io_ring ring;
  struct batch receives, sends, looks, closes;
  uint8_t chunks[CALLS * APART];
};

static struct side *opposite(struct side *s) { return s == &s->relay->client ? &s->relay->server : &s->relay->client; }

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

static void close_all(struct worker *w) {
  perform(&w->ring, w->epoll, &w->closes);
  w->closes.count = 0;
}
static void close_side(struct worker *w, struct side *s, bool reset) {
  if (s->fd < 0) return;
  if (reset) {
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  w->closes.calls[w->closes.count++] = (struct call){.what = CLOSE, .fd = s->fd};
  if (w->closes.count == CALLS) close_all(w);
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
  close_side(w, &r->client, reset_client);
  close_side(w, &r->server, reset_server);
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
    if (r->in_inbox || r->client.wanted || r->server.wanted) {
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
#endif
