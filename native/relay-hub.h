/*
 * What the event loop and the workers of native/relay.c share: fronts, servers, whose turn it is, and what is told. All of
 * it under one lock, which nobody holds while a connection's bytes move; counters are atomic. No Node-API here.
 */
#ifndef HOLDFAST_RELAY_HUB_H
#define HOLDFAST_RELAY_HUB_H
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  WORKERS = 64,        /* at most */
  PLACES = 1 << 20,    /* of questions; the other bits of a number say how often its place was used */
  PLACE_BITS = 20,
  NAME_INTS = 7,       /* a sockaddr_in6 */
  TOLD_INTS = 6 + NAME_INTS
};
/* What JavaScript is told; the same numbers in src/host/linux/relays.ts. */
enum told {
  ASKED = 1, /* who takes this connection? */
  REFUSED,   /* the server did not take it: who else? */
  SETTLED    /* one that was refused by a server stands now, or is gone */
};
/* First in all that an epoll tells of. */
enum watched { DOORBELL, LISTENER, SIDE };

struct front {
  uint32_t number;
  _Atomic bool gone;
  struct listener *listeners; /* the last one first */
  bool asks;              /* else it goes by turns; without any, nobody takes a connection */
  struct server **turns;
  uint32_t count, at;
};
struct listener {
  enum watched watched;
  int fd;
  uint32_t number;        /* within its front */
  struct front *front;
  struct listener *next;
  bool paused[WORKERS];   /* each worker knows its own: no descriptor was free */
};
struct server {
  uint32_t number;
  struct front *front;
  _Atomic bool gone;
  struct sockaddr_storage to, source;
  socklen_t to_length, source_length; /* source_length 0: as the route has it */
  _Atomic uint64_t opened, in, out;
  _Atomic int64_t active, opening;
};
struct question {
  uint32_t number;
  struct relay *relay; /* NULL: the place is free */
  uint32_t next_free;
};
struct worker;

struct shared {
  pthread_mutex_t lock;
  pthread_cond_t swept;
  uint32_t workers, sweeping; /* that have not yet looked for what is gone */
  struct worker *worker[WORKERS];
  uint32_t most;              /* connections at the same time */
  _Atomic uint32_t open;
  int64_t connect_ms, idle_ms;
  bool batches;               /* through an io_uring, where the kernel has it */
  struct front **fronts;
  uint32_t front_places;
  struct server **servers;
  uint32_t server_places;
  struct question *questions;
  uint32_t places, first_free; /* place + 1; 0: none */
  int32_t *told;
  uint32_t told_count, told_room;
  int bell; /* eventfd: something is told */
};

/* A place for `made` in a table that grows; -1: no memory. */
static int64_t place_of(void ***table, uint32_t *places, void *made) {
  for (uint32_t i = 0; i < *places; i++)
    if (!(*table)[i]) {
      (*table)[i] = made;
      return i;
    }
  uint32_t more = *places ? *places * 2 : 8;
  void **grown = realloc(*table, more * sizeof *grown);
  if (!grown) return -1;
  memset(grown + *places, 0, (more - *places) * sizeof *grown);
  *table = grown;
  grown[*places] = made;
  int64_t at = *places;
  *places = more;
  return at;
}

static void ring(int eventfd) {
  const uint64_t once = 1;
  while (write(eventfd, &once, sizeof once) < 0 && errno == EINTR) continue;
}

/* With the lock held. What there is no memory to tell is not told: the connection waits until its client gives up. */
static void tell(struct shared *s, enum told kind, uint32_t number, const struct listener *listener, int64_t server,
                 int error, const struct sockaddr_in6 *client) {
  if (s->told_count == s->told_room) {
    uint32_t more = s->told_room ? s->told_room * 2 : 256;
    int32_t *grown = realloc(s->told, (size_t)more * TOLD_INTS * sizeof *grown);
    if (!grown) return;
    s->told = grown;
    s->told_room = more;
  }
  int32_t *at = s->told + (size_t)s->told_count * TOLD_INTS;
  at[0] = kind;
  at[1] = (int32_t)number;
  at[2] = (int32_t)listener->front->number;
  at[3] = (int32_t)listener->number;
  at[4] = (int32_t)server;
  at[5] = error;
  memcpy(at + 6, client, sizeof *client);
  if (s->told_count++ == 0) ring(s->bell);
}

/* With the lock held: the number by which JavaScript may answer; 0: there is no room. */
static uint32_t question_of(struct shared *s, struct relay *r) {
  uint32_t place;
  if (s->first_free) {
    place = s->first_free - 1;
    s->first_free = s->questions[place].next_free;
  } else {
    if (s->places == PLACES) return 0;
    if ((s->places & (s->places - 1)) == 0) { /* a power of two: full */
      struct question *more = realloc(s->questions, (s->places ? s->places * 2 : 1) * sizeof *more);
      if (!more) return 0;
      s->questions = more;
    }
    place = s->places++;
    s->questions[place].number = 1u << PLACE_BITS | place;
  }
  s->questions[place].relay = r;
  return s->questions[place].number;
}
static struct relay *asked_by(struct shared *s, uint32_t number) {
  uint32_t place = number & (PLACES - 1);
  return place < s->places && s->questions[place].number == number ? s->questions[place].relay : NULL;
}
static void forget_question(struct shared *s, uint32_t number) {
  struct question *q = &s->questions[number & (PLACES - 1)];
  uint32_t place = number & (PLACES - 1), uses = (number >> PLACE_BITS) + 1;
  q->relay = NULL;
  q->number = (uses >> (32 - PLACE_BITS) ? 1 : uses) << PLACE_BITS | place; /* never 0 */
  q->next_free = s->first_free;
  s->first_free = place + 1;
}
#endif
