/*
 * TCP connections whose bytes go from one to another without being looked at, all moved here: JavaScript is told when one
 * came, stands, ended or is gone, and of no byte. One epoll, one call for each turn of the event loop. Ends and listeners
 * are numbers, never used for another while somebody may still know the old one. Node-API only.
 *
 * An end has at most one chunk waiting for it (64 KiB), allocated only while it does not take what came: nothing more is
 * read from the other end meanwhile.
 */
#define _GNU_SOURCE
#include "handles.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  CHUNK = 64 * 1024,
  ROUNDS = 4,        /* chunks of one direction in one turn, so that a fast sender takes no more than its share */
  ACCEPTS = 64,      /* of one listener in one turn */
  READY = 256,       /* sockets that one turn looks at */
  ENDS = 1 << 20,    /* places; the other bits of a number say how often its place was used */
  PLACE_BITS = 20,
  USES = 1 << 11,
  TOLD = 1024,       /* events that wait for JavaScript */
  TOLD_PARTS = 5,    /* number, kind, value, bytes received and sent */
  SPARE = 16         /* events that one socket makes at most in a step */
};
/* What JavaScript is told; the same numbers in src/host/linux/relays.ts. */
enum { ACCEPTED = 1, CONNECTED, FAILED, ENDED, CLOSED, CROWDED };
enum state { FREE, LISTENING, CONNECTING, STANDING, RELAYING, LEAVING };

struct end {
  int fd;
  uint32_t number;
  enum state state;
  struct end *other;  /* while relaying, and neither is closed */
  bool finished;      /* the peer sends no more, and it was all taken from it */
  bool handed;        /* and handed on, with the end behind it */
  bool shut;          /* it is told that no more comes */
  bool shut_wanted;   /* when what waits has gone */
  bool looked_at;     /* epoll has it */
  uint8_t *waiting;   /* for it */
  size_t from, to;
  double received, sent;
  struct end *next_free;
};
struct hub {
  struct handle handle;
  int epoll;
  struct end **ends; /* by place */
  uint32_t places;
  struct end *free;
  double *told;
  uint32_t count;
  napi_ref memory;
  uint8_t chunk[CHUNK];
};
static const napi_type_tag HUB_TAG = {0x3c1f9a7be0d64215, 0xa84b6f0d92e15c37};

/* ------------------------------------------------------------------------------------------------------- places */

static struct end *end_of(struct hub *h, uint32_t number) {
  uint32_t place = number & (ENDS - 1);
  struct end *e = place < h->places ? h->ends[place] : NULL;
  return e && e->state != FREE && e->number == number ? e : NULL;
}
static struct end *new_end(struct hub *h, int fd, enum state state) {
  struct end *e = h->free;
  if (e) h->free = e->next_free;
  else {
    if (h->places == ENDS) return NULL;
    if ((h->places & (h->places - 1)) == 0) { /* a power of two: full */
      struct end **more = realloc(h->ends, (h->places ? h->places * 2 : 1) * sizeof *more);
      if (!more) return NULL;
      h->ends = more;
    }
    e = calloc(1, sizeof *e);
    if (!e) return NULL;
    e->number = h->places;
    h->ends[h->places++] = e;
  }
  uint32_t number = e->number;
  memset(e, 0, sizeof *e);
  e->number = number;
  e->fd = fd;
  e->state = state;
  return e;
}
static void free_end(struct hub *h, struct end *e) {
  close(e->fd);
  free(e->waiting);
  e->waiting = NULL;
  e->state = FREE;
  if (e->other) e->other->other = NULL;
  e->other = NULL;
  uint32_t uses = (e->number >> PLACE_BITS) + 1;
  e->number = (uses % USES) << PLACE_BITS | (e->number & (ENDS - 1));
  e->next_free = h->free;
  h->free = e;
}
/* From now on; and when it is already: what is there is told anew. */
static int look_at(struct hub *h, struct end *e) {
  struct epoll_event v = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u32 = e->number};
  if (e->state == LISTENING) v.events = EPOLLIN | EPOLLET;
  int r = epoll_ctl(h->epoll, e->looked_at ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, e->fd, &v);
  if (r == 0) e->looked_at = true;
  return r;
}

/* --------------------------------------------------------------------------------------------------------- telling */

static void tell_with(struct hub *h, uint32_t number, int kind, double value, double received, double sent) {
  double *at = h->told + (size_t)h->count++ * TOLD_PARTS;
  at[0] = number;
  at[1] = kind;
  at[2] = value;
  at[3] = received;
  at[4] = sent;
}
static void tell(struct hub *h, uint32_t number, int kind, double value) { tell_with(h, number, kind, value, 0, 0); }
/* Whatever is called may close anything, the hub too. */
static void say(struct hub *h) {
  uint32_t n = h->count;
  if (n == 0) return;
  h->count = 0;
  call_back(&h->handle, n);
}

/* ---------------------------------------------------------------------------------------------------------- moving */

static void broken(struct hub *h, struct end *e) {
  uint32_t number = e->number;
  bool known = e->state != LEAVING;
  free_end(h, e);
  if (known) tell_with(h, number, CLOSED, 0, e->received, e->sent);
}
/* Both directions are over: there is nothing more to do for it. True: it is gone. */
static bool over(struct hub *h, struct end *e) {
  if (!e->finished || !e->handed || !e->shut) return false;
  broken(h, e);
  return true;
}
/* No more comes for it: the end of its other is handed on. */
static void shut(struct hub *h, struct end *e) {
  struct end *source = e->other;
  shutdown(e->fd, SHUT_WR);
  e->shut = true;
  if (source && source->finished && !source->handed) {
    source->handed = true;
    tell(h, source->number, ENDED, 0);
  }
}
/* What waits for it. False: it broke, or does not take all. */
static bool flush(struct hub *h, struct end *e) {
  while (e->waiting) {
    ssize_t n = send(e->fd, e->waiting + e->from, e->to - e->from, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      if (errno != EAGAIN) broken(h, e);
      return false;
    }
    e->from += (size_t)n;
    e->sent += (double)n;
    if (e->from < e->to) return false; /* told when there is room */
    free(e->waiting);
    e->waiting = NULL;
  }
  if (e->shut_wanted && !e->shut) shut(h, e);
  return true;
}
/* Bytes for it, behind what waits. False: it broke, or there is no memory to keep them in. */
static bool give(struct hub *h, struct end *e, const uint8_t *bytes, size_t length) {
  size_t done = 0;
  if (!e->waiting) {
    ssize_t n;
    do n = send(e->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN) {
      broken(h, e);
      return false;
    }
    done = n > 0 ? (size_t)n : 0;
    e->sent += (double)done;
    if (done == length) return true;
  }
  size_t before = e->waiting ? e->to - e->from : 0, rest = length - done;
  uint8_t *kept = malloc(before + rest);
  if (!kept) {
    broken(h, e);
    return false;
  }
  if (before) memcpy(kept, e->waiting + e->from, before);
  memcpy(kept + before, bytes + done, rest);
  free(e->waiting);
  e->waiting = kept;
  e->from = 0;
  e->to = before + rest;
  return true;
}
/* From one to its other, as long as the one has something and the other takes it. `ending`: its end may stand behind. */
static void pump(struct hub *h, struct end *from, bool ending) {
  uint32_t number = from->number;
  for (int i = 0; i < ROUNDS; i++) {
    struct end *to = from->other;
    if (!to || from->finished || to->waiting) return;
    ssize_t n = recv(from->fd, h->chunk, CHUNK, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      if (errno != EAGAIN) broken(h, from);
      return;
    }
    if (n == 0) {
      from->finished = true;
      to->shut_wanted = true;
      if (flush(h, to)) over(h, to);
      if ((from = end_of(h, number))) over(h, from);
      return;
    }
    from->received += (double)n;
    if (!give(h, to, h->chunk, (size_t)n)) return;
    if (n < CHUNK && !ending) return; /* told when more is there */
  }
  look_at(h, from); /* told anew: there may be more */
}

static void accept_all(struct hub *h, struct end *listener) {
  uint32_t number = listener->number;
  for (int i = 0; i < ACCEPTS; i++) {
    if (h->count > TOLD - SPARE) break;
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      if (errno == EAGAIN) return;
      if (errno == EINTR || errno == ECONNABORTED) continue;
      tell(h, number, CROWDED, errno); /* it waits in the kernel's queue until resume() */
      return;
    }
    struct end *e = new_end(h, fd, STANDING);
    if (!e) {
      close(fd);
      tell(h, number, CROWDED, ENOMEM);
      return;
    }
    tell(h, number, ACCEPTED, e->number);
  }
  look_at(h, listener);
}
static void connected(struct hub *h, struct end *e) {
  int error = 0;
  socklen_t n = sizeof error;
  getsockopt(e->fd, SOL_SOCKET, SO_ERROR, &error, &n);
  if (error != 0) {
    uint32_t number = e->number;
    free_end(h, e);
    tell(h, number, FAILED, -error);
    return;
  }
  e->state = STANDING;
  tell(h, e->number, CONNECTED, 0);
}
static void step(struct hub *h, struct end *e, uint32_t events) {
  bool gone = events & (EPOLLERR | EPOLLHUP);
  uint32_t number = e->number;
  switch (e->state) {
    case LISTENING:
      accept_all(h, e);
      return;
    case CONNECTING:
      connected(h, e);
      return;
    case STANDING:
      if (events & EPOLLERR) broken(h, e);
      return;
    case LEAVING:
      if (gone || flush(h, e)) free_end(h, e);
      return;
    case RELAYING:
      break;
    case FREE:
      return;
  }
  struct end *source = e->other;
  uint32_t feeding = source ? source->number : 0;
  if (events & EPOLLOUT && (e->waiting || (e->shut_wanted && !e->shut)) && flush(h, e)) {
    if (over(h, e)) return;
    /* What was left with the sender. */
    if (source && (source = end_of(h, feeding)) && source->state == RELAYING) {
      if (!over(h, source)) pump(h, source, true);
    }
  }
  if ((e = end_of(h, number)) && events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP))
    pump(h, e, gone || events & EPOLLRDHUP);
  /* Cut, and nothing is read from it any more that would say so. */
  if (events & EPOLLERR && (e = end_of(h, number)) && (e->finished || !e->other)) broken(h, e);
}

static void on_ready(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  struct hub *h = (struct hub *)uv_handle_get_data((uv_handle_t *)poll);
  struct epoll_event ready[READY];
  int n;
  do n = epoll_wait(h->epoll, ready, READY, 0);
  while (n < 0 && errno == EINTR);
  h->handle.owners++; /* what is called may close it */
  for (int i = 0; i < n && h->handle.open; i++) {
    struct end *e = end_of(h, ready[i].data.u32);
    if (e) step(h, e, ready[i].events);
    if (h->count > TOLD - SPARE) say(h);
  }
  if (h->handle.open) say(h);
  release_handle(&h->handle);
}

/* ------------------------------------------------------------------------------------------------ for JavaScript */

static void dismantle_hub(struct handle *handle) {
  struct hub *h = (struct hub *)handle;
  for (uint32_t i = 0; i < h->places; i++) {
    if (h->ends[i]->state != FREE) {
      close(h->ends[i]->fd);
      free(h->ends[i]->waiting);
    }
    free(h->ends[i]);
  }
  free(h->ends);
  h->ends = NULL;
  h->places = 0;
  close(h->epoll);
  if (h->handle.addon) drop_reference(h->handle.addon->env, &h->memory);
}

/* hub(): what all ends belong to, or the negative errno */
static napi_value js_hub(napi_env env, napi_callback_info info) {
  struct arguments a;
  if (!take_arguments(env, info, "hub", 0, &a)) return NULL;
  struct hub *h = calloc(1, sizeof *h);
  if (!h) return integer(env, -ENOMEM);
  h->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (h->epoll < 0) {
    int failed = errno;
    free(h);
    return integer(env, -failed);
  }
  h->handle.dismantle = dismantle_hub;
  return adopt_handle(env, &h->handle, &HUB_TAG, h->epoll);
}
static struct hub *take_hub(const struct arguments *a) { return (struct hub *)take_open_handle(a, &HUB_TAG); }

/*
 * watch(hub, callback): the ArrayBuffer of what is told, five doubles each: number, kind, value, bytes received, bytes
 * sent. `callback` is called with how many there are. Once.
 */
static napi_value js_watch(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct hub *h;
  napi_value memory;
  void *told;
  if (!take_arguments(env, info, "watch", 2, &a) || !(h = take_hub(&a)) || !take_function(&a, 1)) return NULL;
  if (h->told) {
    type_error(&a, "ERR_WATCHED", "this is watched already");
    return NULL;
  }
  if (napi_create_arraybuffer(env, TOLD * TOLD_PARTS * sizeof(double), &told, &memory) != napi_ok ||
      napi_create_reference(env, memory, 1, &h->memory) != napi_ok)
    return NULL;
  h->told = told;
  int r = watch_handle(&h->handle, a.value[0], UV_READABLE, a.value[1], on_ready);
  return r < 0 ? integer(env, r) : memory;
}
/* The hub, once it is watched: what happens must be told to somebody. */
static struct hub *take_watched(const struct arguments *a) {
  struct hub *h = take_hub(a);
  if (!h || h->told) return h;
  type_error(a, "ERR_NOT_WATCHED", "watch() was not called");
  return NULL;
}
/* keepAlive(hub, yes): whether it keeps the process running */
static napi_value js_keep_alive(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct hub *h;
  bool yes;
  if (!take_arguments(env, info, "keepAlive", 2, &a) || !(h = take_watched(&a)) || !take_bool(&a, 1, &yes)) return NULL;
  if (yes) uv_ref((uv_handle_t *)h->handle.poll);
  else uv_unref((uv_handle_t *)h->handle.poll);
  return undefined(env);
}

static bool take_sockaddr(const struct arguments *a, int i, struct sockaddr_storage *name, socklen_t *length) {
  uint8_t *bytes;
  size_t n;
  if (!take_bytes(a, i, sizeof(struct sockaddr_in), sizeof *name, &bytes, &n)) return false;
  memset(name, 0, sizeof *name);
  memcpy(name, bytes, n);
  *length = (socklen_t)n;
  return true;
}
/* A socket with its number, looked at from now on; or the negative errno, and it is closed. */
static int64_t take_in(struct hub *h, int fd, enum state state) {
  struct end *e = new_end(h, fd, state);
  if (!e) {
    close(fd);
    return -ENOMEM;
  }
  if (look_at(h, e) < 0) {
    int failed = errno;
    free_end(h, e);
    return -failed;
  }
  return e->number;
}

/*
 * listen(hub, sockaddr, backlog): a listener's number, or the negative errno. The address need not be on this host yet
 * (IP_FREEBIND). What it accepts is told, and never delayed by Nagle's algorithm, which it inherits.
 */
static napi_value js_listen(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct hub *h;
  struct sockaddr_storage name;
  socklen_t length;
  int backlog;
  const int on = 1;
  if (!take_arguments(env, info, "listen", 3, &a) || !(h = take_watched(&a)) || !take_sockaddr(&a, 1, &name, &length) ||
      !take_int(&a, 2, 0, INT32_MAX, &backlog))
    return NULL;
  int fd = socket(name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return outcome(env, -1);
  int r = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (r == 0) r = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (r == 0 && name.ss_family == AF_INET) r = setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof on);
  if (r == 0 && name.ss_family == AF_INET6) {
    r = setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on);
    if (r == 0) r = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  }
  if (r == 0) r = bind(fd, (struct sockaddr *)&name, length);
  if (r == 0) r = listen(fd, backlog);
  if (r == 0) return integer(env, take_in(h, fd, LISTENING));
  int failed = errno;
  close(fd);
  return integer(env, -failed);
}
/* resume(hub, listener): after it was told that there is no room (CROWDED) */
static napi_value js_resume(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct hub *h;
  uint32_t number;
  if (!take_arguments(env, info, "resume", 2, &a) || !(h = take_watched(&a)) || !take_u32(&a, 1, 0, UINT32_MAX, &number))
    return NULL;
  struct end *e = end_of(h, number);
  if (!e || e->state != LISTENING) return integer(env, -EBADF);
  return outcome(env, look_at(h, e));
}
/* connect(hub, sockaddr, source or undefined): a number, of which is told whether it stands; or the negative errno */
static napi_value js_connect(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct hub *h;
  struct sockaddr_storage name, source;
  socklen_t length, source_length = 0;
  const int on = 1;
  if (!take_arguments(env, info, "connect", 3, &a) || !(h = take_watched(&a)) ||
      !take_sockaddr(&a, 1, &name, &length) ||
      (!is_undefined(&a, 2) && !take_sockaddr(&a, 2, &source, &source_length)))
    return NULL;
  int fd = socket(name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return outcome(env, -1);
  int r = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (r == 0 && source_length > 0) {
    /* The port is the kernel's choice once the peer is known: the pair of both must be new, not the port alone. */
    r = setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (r == 0) r = bind(fd, (struct sockaddr *)&source, source_length);
  }
  if (r == 0) r = connect(fd, (struct sockaddr *)&name, length);
  if (r == 0 || errno == EINPROGRESS) return integer(env, take_in(h, fd, CONNECTING));
  int failed = errno;
  close(fd);
  return integer(env, -failed);
}

static struct end *take_end(const struct arguments *a, struct hub *h, int i, bool *good) {
  uint32_t number;
  *good = take_u32(a, i, 0, UINT32_MAX, &number);
  return *good ? end_of(h, number) : NULL;
}
/* write(hub, number, bytes): before what will be relayed to it. -EBADF: it is gone. */
static napi_value js_write(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct hub *h;
  bool good;
  uint8_t *bytes;
  size_t n;
  if (!take_arguments(env, info, "write", 3, &a) || !(h = take_watched(&a))) return NULL;
  struct end *e = take_end(&a, h, 1, &good);
  if (!good || !take_bytes(&a, 2, 1, CHUNK, &bytes, &n)) return NULL;
  if (!e || e->state != STANDING) return integer(env, -EBADF);
  if (!give(h, e, bytes, n)) return integer(env, -EPIPE);
  return integer(env, 0);
}
/* relay(hub, one, other): from now on what comes from either goes to the other. -EBADF: one of them is gone. */
static napi_value js_relay(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct hub *h;
  bool good;
  if (!take_arguments(env, info, "relay", 3, &a) || !(h = take_watched(&a))) return NULL;
  struct end *one = take_end(&a, h, 1, &good);
  struct end *other = good ? take_end(&a, h, 2, &good) : NULL;
  if (!good) return NULL;
  if (!one || !other || one == other || one->state != STANDING || other->state != STANDING) return integer(env, -EBADF);
  struct end *both[] = {one, other};
  for (int i = 0; i < 2; i++) {
    both[i]->state = RELAYING;
    both[i]->other = both[1 - i];
    if (look_at(h, both[i]) < 0) return outcome(env, -1);
  }
  return integer(env, 0);
}
/* names(hub, number, room): sockaddr of the socket itself, and from half of `room` on that of its peer; 0 or the negative errno */
static napi_value js_names(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct hub *h;
  bool good;
  uint8_t *room;
  size_t n;
  if (!take_arguments(env, info, "names", 3, &a) || !(h = take_watched(&a))) return NULL;
  struct end *e = take_end(&a, h, 1, &good);
  if (!good || !take_bytes(&a, 2, 2 * sizeof(struct sockaddr_in6), 2 * sizeof(struct sockaddr_storage), &room, &n))
    return NULL;
  if (!e) return integer(env, -EBADF);
  socklen_t local = (socklen_t)(n / 2), peer = (socklen_t)(n / 2);
  int r = getsockname(e->fd, (struct sockaddr *)room, &local);
  if (r == 0) r = getpeername(e->fd, (struct sockaddr *)(room + n / 2), &peer);
  return outcome(env, r);
}
/* received(hub, number), sent(hub, number): bytes; -EBADF when it is gone */
static napi_value bytes_moved(napi_env env, napi_callback_info info, const char *function, bool received) {
  struct arguments a;
  struct hub *h;
  bool good;
  if (!take_arguments(env, info, function, 2, &a) || !(h = take_watched(&a))) return NULL;
  struct end *e = take_end(&a, h, 1, &good);
  if (!good) return NULL;
  return number(env, !e ? -EBADF : received ? e->received : e->sent);
}
static napi_value js_received(napi_env env, napi_callback_info info) { return bytes_moved(env, info, "received", true); }
static napi_value js_sent(napi_env env, napi_callback_info info) { return bytes_moved(env, info, "sent", false); }

/* end(hub, number, reset): nothing is told of it any more. With `reset` its peer sees that it was cut; else what waits for it is still sent. */
static napi_value js_end(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct hub *h;
  bool good, reset;
  if (!take_arguments(env, info, "end", 3, &a) || !(h = take_watched(&a))) return NULL;
  struct end *e = take_end(&a, h, 1, &good);
  if (!good || !take_bool(&a, 2, &reset)) return NULL;
  if (!e || e->state == LEAVING) return integer(env, -EBADF);
  if (reset) {
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(e->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  if (reset || !e->waiting) free_end(h, e);
  else {
    if (e->other) e->other->other = NULL;
    e->other = NULL;
    e->state = LEAVING;
  }
  return integer(env, 0);
}
/* close(hub): all its ends with it. Again is harmless. */
static napi_value js_close(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  if (!take_arguments(env, info, "close", 1, &a) || !(h = take_handle(&a, &HUB_TAG))) return NULL;
  close_handle(h);
  return undefined(env);
}

NAPI_MODULE_INIT() {
  static const struct exported functions[] = {
      {"hub", js_hub},     {"watch", js_watch}, {"keepAlive", js_keep_alive}, {"listen", js_listen},
      {"resume", js_resume}, {"connect", js_connect}, {"write", js_write},    {"relay", js_relay},
      {"names", js_names}, {"received", js_received}, {"sent", js_sent},      {"end", js_end},
      {"close", js_close},
  };
  return export_addon(env, exports, functions, sizeof functions / sizeof *functions);
}
