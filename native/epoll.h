/*
 * An epoll as a handle: many sockets, one handle of the event loop, one call for each wake. Part of sockets.c.
 */
#ifndef HOLDFAST_EPOLL_H
#define HOLDFAST_EPOLL_H
#include "endpoints.h"
#include <sys/epoll.h>

enum {
  MAX_READY = 4096, /* sockets that one wake of an epoll may tell of */
  READY_INTS = 2    /* per ready socket: its number, its EPOLL* events */
};

/* epoll(): handle. Watches many sockets with one handle of the event loop and one call for each wake. */
static napi_value js_epoll(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct endpoint *h;
  if (!take_arguments(env, info, "epoll", 0, &a)) return NULL;
  int fd = epoll_create1(EPOLL_CLOEXEC);
  return fd < 0 ? outcome(env, fd) : new_endpoint(env, EPOLL, fd, &h);
}

/* epollMemory(epoll, slots): ArrayBuffer of two int32 for each ready socket, its number and its EPOLL* events. */
static napi_value js_epoll_memory(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct endpoint *h;
  int slots;
  napi_value memory;
  void *data;
  napi_ref reference;
  if (!take_arguments(env, info, "epollMemory", 2, &a) || !(h = take_open(&a, ONLY_EPOLL)) ||
      !take_int(&a, 1, 1, MAX_READY, &slots))
    return NULL;
  if (napi_create_arraybuffer(env, (size_t)slots * READY_INTS * sizeof(int32_t), &data, &memory) != napi_ok ||
      napi_create_reference(env, memory, 1, &reference) != napi_ok)
    return NULL;
  drop_reference(env, &h->memory);
  h->memory = reference;
  h->slots = (uint32_t)slots;
  return memory;
}

/*
 * epollSet(epoll, socket, number, events): watch the socket for these EPOLL* events from now on, under a number of the
 * caller's, and tell once of each change (edge-triggered); set again, it tells anew of what is so. 0 events: no more.
 * A socket that is closed leaves by itself.
 */
static napi_value js_epoll_set(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct endpoint *h, *s;
  int number, events;
  if (!take_arguments(env, info, "epollSet", 4, &a) || !(h = take_open(&a, ONLY_EPOLL)) ||
      !(s = take_open_at(&a, 1, ONLY_SOCKET)) || !take_int(&a, 2, 0, INT32_MAX, &number) ||
      !take_int(&a, 3, 0, INT32_MAX, &events))
    return NULL;
  struct epoll_event e = {.events = (uint32_t)events | EPOLLET, .data.u32 = (uint32_t)number};
  int r = epoll_ctl(h->fd, events ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, s->fd, &e);
  if (r < 0 && errno == EEXIST && events) r = epoll_ctl(h->fd, EPOLL_CTL_MOD, s->fd, &e);
  return outcome(env, r);
}

/* Number of ready sockets now in the memory, or the negative errno. */
static int take_ready(struct endpoint *h) {
  napi_env env = h->handle.addon->env;
  struct epoll_event ready[MAX_READY];
  napi_value memory;
  int32_t *out = NULL;
  size_t total = 0;
  /* Asked for again each time, as in receive(). */
  if (!h->memory || napi_get_reference_value(env, h->memory, &memory) != napi_ok ||
      napi_get_arraybuffer_info(env, memory, (void **)&out, &total) != napi_ok || !out ||
      total < h->slots * READY_INTS * sizeof(int32_t))
    return -ENOBUFS;
  int n;
  do n = epoll_wait(h->fd, ready, (int)h->slots, 0);
  while (n < 0 && errno == EINTR);
  if (n < 0) return -errno;
  for (int i = 0; i < n; i++) {
    *out++ = (int32_t)ready[i].data.u32;
    *out++ = (int32_t)ready[i].events;
  }
  return n;
}

/* epollTake(epoll): sockets ready right now, in the memory; what watch() would tell of at the next turn. */
static napi_value js_epoll_take(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct endpoint *h;
  if (!take_arguments(env, info, "epollTake", 1, &a) || !(h = take_open(&a, ONLY_EPOLL))) return NULL;
  return integer(env, take_ready(h));
}
#endif
