/*
 * TCP connections whose bytes go from a client to a server and back without being looked at, all in threads of their own:
 * JavaScript says where to listen, which servers there are and whose turn it is, and is asked only where no turns were
 * given or a server refused. Fronts, servers and questions are numbers. relay-hub.h has what is shared,
 * relay-worker.h the threads, which relay-opens.h, relay-moves.h, relay-ends.h and relay-batch.h serve. Node-API only.
 */
#define _GNU_SOURCE
#include "handles.h"
#include "listening.h"
#include "relay-worker.h"

enum { TOLD = 1024 /* that JavaScript hears of in one call */, HEADER = 4096, TURNS = 1 << 16 };

struct hub {
  struct handle handle;
  struct shared shared;
  int32_t *memory; /* of JavaScript */
  napi_ref reference;
};
static const napi_type_tag HUB_TAG = {0x3c1f9a7be0d64215, 0xa84b6f0d92e15c38};

/* ---------------------------------------------------------------------------------------------------------- taking away */

static void free_front(struct front *f) {
  for (struct listener *l = f->listeners, *next; l; l = next) {
    next = l->next;
    close(l->fd);
    free(l);
  }
  free(f->turns);
  free(f);
}
static void dismantle_hub(struct handle *handle) {
  struct hub *h = (struct hub *)handle;
  struct shared *s = &h->shared;
  stop_workers(s);
  for (uint32_t i = 0; i < s->front_places; i++)
    if (s->fronts[i]) free_front(s->fronts[i]);
  for (uint32_t i = 0; i < s->server_places; i++) free(s->servers[i]);
  free(s->fronts);
  free(s->servers);
  free(s->questions);
  free(s->told);
  pthread_mutex_destroy(&s->lock);
  pthread_cond_destroy(&s->swept);
  close(s->bell);
  if (h->handle.addon) drop_reference(h->handle.addon->env, &h->reference);
}

/* ------------------------------------------------------------------------------------------------------- being told */

static void on_ready(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  struct hub *h = (struct hub *)uv_handle_get_data((uv_handle_t *)poll);
  struct shared *s = &h->shared;
  uint64_t rings;
  if (read(s->bell, &rings, sizeof rings) < 0) return;
  pthread_mutex_lock(&s->lock);
  uint32_t n = s->told_count < TOLD ? s->told_count : TOLD;
  memcpy(h->memory, s->told, (size_t)n * TOLD_INTS * sizeof *s->told);
  s->told_count -= n;
  if (s->told_count > 0) {
    memmove(s->told, s->told + (size_t)n * TOLD_INTS, (size_t)s->told_count * TOLD_INTS * sizeof *s->told);
    ring(s->bell);
  }
  pthread_mutex_unlock(&s->lock);
  if (n > 0) call_back(&h->handle, n);
}

/* ------------------------------------------------------------------------------------------------ for JavaScript */

/*
 * hub(workers, batches, most, connectMs, idleMs): what all belongs to, or the negative errno. `batches`: many system calls
 * in one, where the kernel has an io_uring. `most`: connections at the same time,
 * what comes beyond is reset. `connectMs`: for a server to take a connection, and for an answer to who takes it. `idleMs`:
 * a connection on which nothing moved for so long is cut.
 */
static napi_value js_hub(napi_env env, napi_callback_info info) {
  struct arguments a;
  uint32_t workers, most, connect_ms, idle_ms;
  bool batches;
  if (!take_arguments(env, info, "hub", 5, &a) || !take_u32(&a, 0, 1, WORKERS, &workers) ||
      !take_bool(&a, 1, &batches) || !take_u32(&a, 2, 0, INT32_MAX, &most) ||
      !take_u32(&a, 3, 1, INT32_MAX, &connect_ms) || !take_u32(&a, 4, 1, INT32_MAX, &idle_ms))
    return NULL;
  struct hub *h = calloc(1, sizeof *h);
  if (!h) return integer(env, -ENOMEM);
  struct shared *s = &h->shared;
  s->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (s->bell < 0) {
    int failed = errno;
    free(h);
    return integer(env, -failed);
  }
  pthread_mutex_init(&s->lock, NULL);
  pthread_cond_init(&s->swept, NULL);
  s->most = most;
  s->connect_ms = connect_ms;
  s->idle_ms = idle_ms;
  s->batches = batches;
  h->handle.dismantle = dismantle_hub;
  for (uint32_t i = 0; i < workers; i++) {
    s->worker[i] = new_worker(s, i);
    if (!s->worker[i]) {
      int failed = errno;
      dismantle_hub(&h->handle);
      free(h);
      return integer(env, -failed);
    }
    s->workers++;
  }
  return adopt_handle(env, &h->handle, &HUB_TAG, s->bell);
}
static struct hub *take_hub(const struct arguments *a) { return (struct hub *)take_open_handle(a, &HUB_TAG); }

/*
 * watch(hub, callback): the ArrayBuffer of what is told, thirteen int32 each: kind, question, front, listener, server,
 * errno, and the client's sockaddr. `callback` is called with how many there are. Once.
 */
static napi_value js_watch(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct hub *h;
  napi_value memory;
  void *told;
  if (!take_arguments(env, info, "watch", 2, &a) || !(h = take_hub(&a)) || !take_function(&a, 1)) return NULL;
  if (h->memory) {
    type_error(&a, "ERR_WATCHED", "this is watched already");
    return NULL;
  }
  if (napi_create_arraybuffer(env, TOLD * TOLD_INTS * sizeof(int32_t), &told, &memory) != napi_ok ||
      napi_create_reference(env, memory, 1, &h->reference) != napi_ok)
    return NULL;
  h->memory = told;
  int r = watch_handle(&h->handle, a.value[0], UV_READABLE, a.value[1], on_ready);
  return r < 0 ? integer(env, r) : memory;
}
/* The hub, once it is watched: what is asked must be asked of somebody. */
static struct hub *take_watched(const struct arguments *a) {
  struct hub *h = take_hub(a);
  if (!h || h->memory) return h;
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

/* front(hub): the number of what listens; nobody takes its connections until turns() says who. */
static napi_value js_front(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct hub *h;
  if (!take_arguments(env, info, "front", 1, &a) || !(h = take_watched(&a))) return NULL;
  struct shared *s = &h->shared;
  struct front *f = calloc(1, sizeof *f);
  pthread_mutex_lock(&s->lock);
  int64_t at = f ? place_of((void ***)&s->fronts, &s->front_places, f) : -1;
  if (at >= 0) f->number = (uint32_t)at;
  pthread_mutex_unlock(&s->lock);
  if (at >= 0) return integer(env, at);
  free(f);
  return integer(env, -ENOMEM);
}
/* NULL with *good: there is none of this number. */
static struct front *take_front(const struct arguments *a, struct hub *h, int i, bool *good) {
  uint32_t number;
  *good = take_u32(a, i, 0, UINT32_MAX, &number);
  return *good && number < h->shared.front_places ? h->shared.fronts[number] : NULL;
}
static struct server *take_server(const struct arguments *a, struct hub *h, int i, bool *good) {
  uint32_t number;
  *good = take_u32(a, i, 0, UINT32_MAX, &number);
  return *good && number < h->shared.server_places ? h->shared.servers[number] : NULL;
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
/* listen(hub, front, sockaddr, backlog): the listener's number within the front, or the negative errno. The address need not be on this host yet (IP_FREEBIND). */
static napi_value js_listen(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct hub *h;
  struct sockaddr_storage name;
  socklen_t length;
  int backlog;
  bool good;
  if (!take_arguments(env, info, "listen", 4, &a) || !(h = take_watched(&a))) return NULL;
  struct front *f = take_front(&a, h, 1, &good);
  if (!good || !take_sockaddr(&a, 2, &name, &length) || !take_int(&a, 3, 0, INT32_MAX, &backlog)) return NULL;
  if (!f) return integer(env, -EBADF);
  struct listener *l = calloc(1, sizeof *l);
  if (!l) return integer(env, -ENOMEM);
  l->fd = listening(&name, length, backlog, true);
  if (l->fd < 0) {
    int failed = errno;
    free(l);
    return integer(env, -failed);
  }
  struct shared *s = &h->shared;
  l->watched = LISTENER;
  l->front = f;
  pthread_mutex_lock(&s->lock);
  l->next = f->listeners;
  l->number = l->next ? l->next->number + 1 : 0;
  f->listeners = l;
  pthread_mutex_unlock(&s->lock);
  int r = 0; /* of the last one: those before it listen, and closing the front ends that */
  for (uint32_t i = 0; i < s->workers && r == 0; i++) r = listen_on(s->worker[i], l);
  return outcome(env, r < 0 ? r : (int64_t)l->number);
}

/* server(hub, front, sockaddr, source or undefined): its number, or the negative errno */
static napi_value js_server(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct hub *h;
  struct server made = {0}, *v = NULL;
  bool good;
  if (!take_arguments(env, info, "server", 4, &a) || !(h = take_watched(&a))) return NULL;
  struct front *f = take_front(&a, h, 1, &good);
  if (!good || !take_sockaddr(&a, 2, &made.to, &made.to_length) ||
      (!is_undefined(&a, 3) && !take_sockaddr(&a, 3, &made.source, &made.source_length)))
    return NULL;
  if (!f) return integer(env, -EBADF);
  struct shared *s = &h->shared;
  int64_t at = -1;
  if ((v = calloc(1, sizeof *v))) {
    v->front = f;
    v->to = made.to;
    v->to_length = made.to_length;
    v->source = made.source;
    v->source_length = made.source_length;
    pthread_mutex_lock(&s->lock);
    at = place_of((void ***)&s->servers, &s->server_places, v);
    v->number = (uint32_t)at;
    pthread_mutex_unlock(&s->lock);
  }
  if (at >= 0) return integer(env, at);
  free(v);
  return integer(env, -ENOMEM);
}
/*
 * turns(hub, front, servers or undefined): uint32 numbers in the processor's order, one connection to each in a circle;
 * none: what comes is reset; undefined: JavaScript is asked for each.
 */
static napi_value js_turns(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct hub *h;
  uint8_t *bytes;
  size_t n;
  bool good;
  if (!take_arguments(env, info, "turns", 3, &a) || !(h = take_watched(&a))) return NULL;
  struct front *f = take_front(&a, h, 1, &good);
  if (!good || !take_optional_bytes(&a, 2, 0, TURNS * sizeof(uint32_t), &bytes, &n)) return NULL;
  if (!f) return integer(env, -EBADF);
  struct shared *s = &h->shared;
  uint32_t count = (uint32_t)(n / sizeof(uint32_t));
  struct server **turns = count ? malloc(count * sizeof *turns) : NULL;
  if (count && !turns) return integer(env, -ENOMEM);
  for (uint32_t i = 0; i < count; i++) {
    uint32_t number;
    memcpy(&number, bytes + i * sizeof number, sizeof number);
    turns[i] = number < s->server_places ? s->servers[number] : NULL;
    if (turns[i] && turns[i]->front == f) continue;
    free(turns);
    return integer(env, -EBADF);
  }
  pthread_mutex_lock(&s->lock);
  free(f->turns);
  f->turns = turns;
  f->count = count;
  f->at = 0;
  f->asks = is_undefined(&a, 2);
  pthread_mutex_unlock(&s->lock);
  return integer(env, 0);
}
/* take(hub, question, server or undefined, header or undefined): who takes it, and what it is told first; undefined: nobody, and it is reset. -EBADF: it is gone. */
static napi_value js_take(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct hub *h;
  uint32_t number;
  uint8_t *bytes;
  size_t n;
  bool good = true;
  if (!take_arguments(env, info, "take", 4, &a) || !(h = take_watched(&a)) || !take_u32(&a, 1, 0, UINT32_MAX, &number))
    return NULL;
  struct server *v = is_undefined(&a, 2) ? NULL : take_server(&a, h, 2, &good);
  if (!good || !take_optional_bytes(&a, 3, 0, HEADER, &bytes, &n)) return NULL;
  if (!v && !is_undefined(&a, 2)) return integer(env, -EBADF);
  struct shared *s = &h->shared;
  uint8_t *header = n ? malloc(n) : NULL;
  if (n && !header) return integer(env, -ENOMEM);
  if (n) memcpy(header, bytes, n);
  pthread_mutex_lock(&s->lock);
  struct relay *r = asked_by(s, number);
  bool waits = r && r->state == ASKING && !r->in_inbox && (!v || r->listener->front == v->front);
  if (waits) {
    r->answer = v;
    if (v) atomic_fetch_add_explicit(&v->opening, 1, memory_order_relaxed);
    free(r->header);
    r->header = header;
    r->header_length = (uint32_t)n;
    put_into_inbox(r->worker, r);
  }
  pthread_mutex_unlock(&s->lock);
  if (waits) return integer(env, 0);
  free(header);
  return integer(env, -EBADF);
}
/* tally(hub, server, room): connections that stood, bytes to the server and from it, connections that stand and that are being opened */
static napi_value js_tally(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct hub *h;
  bool good;
  uint8_t *room;
  size_t n;
  if (!take_arguments(env, info, "tally", 3, &a) || !(h = take_watched(&a))) return NULL;
  struct server *v = take_server(&a, h, 1, &good);
  if (!good || !take_bytes(&a, 2, 5 * sizeof(double), 5 * sizeof(double), &room, &n)) return NULL;
  if (!v) return integer(env, -EBADF);
  const double all[] = {(double)v->opened, (double)v->in, (double)v->out, (double)v->active, (double)v->opening};
  memcpy(room, all, sizeof all);
  return integer(env, 0);
}

/* dropServer(hub, server): its connections are cut when this returns. The turns of its front were set anew before. */
static napi_value js_drop_server(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct hub *h;
  bool good;
  if (!take_arguments(env, info, "dropServer", 2, &a) || !(h = take_watched(&a))) return NULL;
  struct server *v = take_server(&a, h, 1, &good);
  if (!good) return NULL;
  if (!v) return integer(env, -EBADF);
  for (uint32_t i = 0; i < v->front->count; i++)
    if (v->front->turns[i] == v) return integer(env, -EBUSY);
  atomic_store(&v->gone, true);
  sweep_all(&h->shared);
  h->shared.servers[v->number] = NULL;
  free(v);
  return integer(env, 0);
}
/* dropFront(hub, front): nothing listens any more, and all its connections are cut, when this returns; its servers are gone with it. */
static napi_value js_drop_front(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct hub *h;
  bool good;
  if (!take_arguments(env, info, "dropFront", 2, &a) || !(h = take_watched(&a))) return NULL;
  struct front *f = take_front(&a, h, 1, &good);
  if (!good) return NULL;
  if (!f) return integer(env, -EBADF);
  struct shared *s = &h->shared;
  pthread_mutex_lock(&s->lock);
  atomic_store(&f->gone, true);
  f->asks = false;
  f->count = 0;
  pthread_mutex_unlock(&s->lock);
  for (struct listener *l = f->listeners; l; l = l->next)
    for (uint32_t i = 0; i < s->workers; i++) epoll_ctl(s->worker[i]->epoll, EPOLL_CTL_DEL, l->fd, NULL);
  sweep_all(s); /* now nobody accepts from it */
  sweep_all(s); /* and what one worker had handed to another has arrived, and was cut */
  pthread_mutex_lock(&s->lock);
  s->fronts[f->number] = NULL;
  pthread_mutex_unlock(&s->lock);
  for (uint32_t i = 0; i < s->server_places; i++)
    if (s->servers[i] && s->servers[i]->front == f) {
      free(s->servers[i]);
      s->servers[i] = NULL;
    }
  free_front(f);
  return integer(env, 0);
}
/* close(hub): all that belongs to it is cut. Again is harmless. */
static napi_value js_close(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  if (!take_arguments(env, info, "close", 1, &a) || !(h = take_handle(&a, &HUB_TAG))) return NULL;
  close_handle(h);
  return undefined(env);
}

NAPI_MODULE_INIT() {
  static const struct exported functions[] = {
      {"hub", js_hub},     {"watch", js_watch}, {"keepAlive", js_keep_alive},   {"front", js_front},
      {"listen", js_listen}, {"server", js_server}, {"turns", js_turns},        {"take", js_take},
      {"tally", js_tally}, {"close", js_close}, {"dropServer", js_drop_server}, {"dropFront", js_drop_front},
  };
  return export_addon(env, exports, functions, sizeof functions / sizeof *functions);
}
