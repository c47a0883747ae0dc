/*
 * What sockets.c, epoll.h and timer.h share: a descriptor of the kernel's as a handle of JavaScript. Node-API only.
 */
#ifndef HOLDFAST_ENDPOINTS_H
#define HOLDFAST_ENDPOINTS_H
#include "handles.h"
#include <sys/socket.h>
#include <unistd.h>

enum kind { SOCKET, TIMER, EPOLL };

struct endpoint {
  struct handle handle;
  enum kind kind;
  int fd; /* -1 once closed */
  napi_ref memory; /* the ArrayBuffer of the batch, or of the ready sockets */
  struct mmsghdr *headers;
  struct iovec *vectors;
  uint32_t slots, slot_bytes, control_bytes;
  int receive_flags;
  unsigned failures; /* wakes in a row whose receive failed although no error was pending */
};

static const napi_type_tag TAG = {0x9d4f0c3be1a84c02, 0xa1f35b7702d94e6c};

static void dismantle(struct handle *h) {
  struct endpoint *e = (struct endpoint *)h;
  if (e->fd >= 0) close(e->fd);
  e->fd = -1;
  if (e->memory) drop_reference(h->addon->env, &e->memory);
  free(e->headers);
  free(e->vectors);
  e->headers = NULL;
  e->vectors = NULL;
}

/* Takes `fd` over, also where it fails: then an exception stands, and `*made` is NULL. */
static napi_value new_endpoint(napi_env env, enum kind kind, int fd, struct endpoint **made) {
  struct endpoint *e = calloc(1, sizeof *e);
  *made = NULL;
  if (!e) {
    close(fd);
    napi_throw_error(env, "ERR_NO_MEMORY", "a handle could not be made");
    return NULL;
  }
  e->kind = kind;
  e->fd = fd;
  e->handle.dismantle = dismantle;
  napi_value object = adopt_handle(env, &e->handle, &TAG, fd);
  if (object) *made = e;
  return object;
}

enum wanted { ANY, ONLY_SOCKET, ONLY_TIMER, ONLY_EPOLL };

/* The handle of argument i + 1, open or not. */
static struct endpoint *take_endpoint(const struct arguments *a, int i, enum wanted wanted) {
  static const char *const expected[] = {
      "a handle was expected", "a socket was expected", "a timer was expected", "an epoll was expected"};
  struct endpoint *e = tagged(a, i, &TAG);
  if (e && (wanted == ANY || e->kind == (enum kind)(wanted - ONLY_SOCKET))) return e;
  type_error(a, "ERR_INVALID_ARG_TYPE", expected[wanted]);
  return NULL;
}
static struct endpoint *take_open_at(const struct arguments *a, int i, enum wanted wanted) {
  struct endpoint *e = take_endpoint(a, i, wanted);
  return e && only_open(a, &e->handle) ? e : NULL;
}
static struct endpoint *take_open(const struct arguments *a, enum wanted wanted) { return take_open_at(a, 0, wanted); }
#endif
