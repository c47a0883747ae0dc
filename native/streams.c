/*
 * Stream sockets of a server: listen, accept, receive into memory that stands ready, send from two places at once.
 * node:net gives every chunk a Buffer of its own and offers `onread` only to outgoing connections. Node-API only.
 */
#define _GNU_SOURCE
#include "handles.h"
#include "listening.h"
#include <fcntl.h>
#include <sys/uio.h>

struct stream {
  struct handle handle;
  int fd;
};

static const napi_type_tag LISTENER_TAG = {0x51f0a37e2cc94d0a, 0xb6d1e8325f7740c9};
static const napi_type_tag STREAM_TAG = {0x6e2d84b90f1343f5, 0x9a7c50e1d3b2468f};

static void dismantle_stream(struct handle *h) {
  struct stream *s = (struct stream *)h;
  if (s->fd >= 0) close(s->fd);
  s->fd = -1;
}

static napi_value new_stream(napi_env env, int fd, const napi_type_tag *tag) {
  struct stream *s = calloc(1, sizeof *s);
  if (!s) {
    close(fd);
    return integer(env, -ENOMEM);
  }
  s->fd = fd;
  s->handle.dismantle = dismantle_stream;
  return adopt_handle(env, &s->handle, tag, fd);
}

/* The sockaddr in the Uint8Array of argument i + 1, from argument i + 2 to argument i + 3. */
static bool take_name(const struct arguments *a, int i, struct sockaddr_storage *name, socklen_t *length) {
  uint8_t *bytes;
  size_t n;
  if (!take_range(a, i, &bytes, &n)) return false;
  if (n < sizeof name->ss_family || n > sizeof *name) return range_error(a, i, "is no sockaddr");
  memset(name, 0, sizeof *name);
  memcpy(name, bytes, n);
  *length = (socklen_t)n;
  return true;
}
/* Of a connection over TCP: nothing waits for more to send, and that the peer is gone is found some day. */
static void tune(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}
/* The negative errno of the call before this, whose socket is closed. */
static napi_value refused(napi_env env, int fd) {
  int failed = errno;
  close(fd);
  return integer(env, -failed);
}

/* listen(sockaddr, from, to, backlog): a listener. A unix socket is made with mode 0600 from the first moment. */
static napi_value js_listen(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct sockaddr_storage name;
  socklen_t length;
  int backlog;
  if (!take_arguments(env, info, "listen", 4, &a) || !take_name(&a, 0, &name, &length) ||
      !take_int(&a, 3, 1, 4096, &backlog))
    return NULL;
  int fd = listening(&name, length, backlog, false);
  return fd < 0 ? outcome(env, -1) : new_stream(env, fd, &LISTENER_TAG);
}

/* accept(listener): a stream, or the negative errno (-EAGAIN: nobody waits) */
static napi_value js_accept(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  if (!take_arguments(env, info, "accept", 1, &a) || !(h = take_open_handle(&a, &LISTENER_TAG))) return NULL;
  struct sockaddr_storage peer;
  socklen_t n = sizeof peer;
  int fd = accept4(((struct stream *)h)->fd, (struct sockaddr *)&peer, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return outcome(env, -1);
  if (peer.ss_family != AF_UNIX) tune(fd);
  return new_stream(env, fd, &STREAM_TAG);
}

/* connect(sockaddr, from, to): a stream, or the negative errno. With TCP it may still be under way: writable tells. */
static napi_value js_connect(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct sockaddr_storage name;
  socklen_t length;
  if (!take_arguments(env, info, "connect", 3, &a) || !take_name(&a, 0, &name, &length)) return NULL;
  int fd = socket(name.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return outcome(env, -1);
  if (name.ss_family != AF_UNIX) tune(fd);
  if (connect(fd, (struct sockaddr *)&name, length) < 0 && errno != EINPROGRESS) return refused(env, fd);
  return new_stream(env, fd, &STREAM_TAG);
}

/* 0: as the system has it. Before the connection: afterwards TCP has agreed on its window. */
static bool set_buffers(int fd, int send, int receive) {
  return (send == 0 || setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send, sizeof send) == 0) &&
         (receive == 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive, sizeof receive) == 0);
}

/* buffers(listener, send, receive): sizes of the sockets that it will accept; 0 leaves one as it is */
static napi_value js_buffers(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  int send, receive;
  if (!take_arguments(env, info, "buffers", 3, &a) || !(h = take_open_handle(&a, &LISTENER_TAG)) ||
      !take_int(&a, 1, 0, INT32_MAX, &send) || !take_int(&a, 2, 0, INT32_MAX, &receive))
    return NULL;
  return outcome(env, set_buffers(((struct stream *)h)->fd, send, receive) ? 0 : -1);
}

/* dial(sockaddr, from, to, source, from, to, send, receive): as connect, from an address of this host and with buffers of a size */
static napi_value js_dial(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct sockaddr_storage name, source;
  socklen_t length, source_length;
  int send, receive;
  if (!take_arguments(env, info, "dial", 8, &a) || !take_name(&a, 0, &name, &length) ||
      !take_name(&a, 3, &source, &source_length) || !take_int(&a, 6, 0, INT32_MAX, &send) ||
      !take_int(&a, 7, 0, INT32_MAX, &receive))
    return NULL;
  int fd = socket(name.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return outcome(env, -1);
  tune(fd);
  /* The port is the kernel's choice once the peer is known: the pair of both must be new, not the port alone. */
  const int yes = 1;
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
  if (!set_buffers(fd, send, receive) || bind(fd, (struct sockaddr *)&source, source_length) < 0 ||
      (connect(fd, (struct sockaddr *)&name, length) < 0 && errno != EINPROGRESS))
    return refused(env, fd);
  return new_stream(env, fd, &STREAM_TAG);
}

/* duplicate(stream): another descriptor of the same connection, which the caller owns. */
static napi_value js_duplicate(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  if (!take_arguments(env, info, "duplicate", 1, &a) || !(h = take_open_handle(&a, &STREAM_TAG))) return NULL;
  return outcome(env, fcntl(((struct stream *)h)->fd, F_DUPFD_CLOEXEC, 0));
}

/* name(handle of a listener, room, from, to), peer(stream, room, from, to): bytes of the sockaddr */
static napi_value js_name(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  uint8_t *room;
  size_t n;
  if (!take_arguments(env, info, "name", 4, &a) || !(h = take_open_handle(&a, &LISTENER_TAG)) ||
      !take_range(&a, 1, &room, &n))
    return NULL;
  socklen_t length = (socklen_t)n;
  int r = getsockname(((struct stream *)h)->fd, (struct sockaddr *)room, &length);
  return outcome(env, r < 0 ? r : length > n ? (int64_t)n : length);
}

static napi_value js_peer(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  uint8_t *room;
  size_t n;
  if (!take_arguments(env, info, "peer", 4, &a) || !(h = take_open_handle(&a, &STREAM_TAG)) ||
      !take_range(&a, 1, &room, &n))
    return NULL;
  socklen_t length = (socklen_t)n;
  int r = getpeername(((struct stream *)h)->fd, (struct sockaddr *)room, &length);
  return outcome(env, r < 0 ? r : length > n ? (int64_t)n : length);
}

/* receive(stream, room, from, to): bytes; 0 at the end of the stream; -EAGAIN when nothing is there */
static napi_value js_receive(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  uint8_t *room;
  size_t n;
  if (!take_arguments(env, info, "receive", 4, &a) || !(h = take_open_handle(&a, &STREAM_TAG)) ||
      !take_range(&a, 1, &room, &n))
    return NULL;
  if (n == 0) {
    napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "receive: no room");
    return NULL;
  }
  return outcome(env, recv(((struct stream *)h)->fd, room, n, MSG_DONTWAIT));
}

/* send(stream, first, from, to, second, from, to): bytes taken of both, in that order; -EAGAIN when there is no room */
static napi_value js_send(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  uint8_t *first, *second;
  size_t n, m;
  if (!take_arguments(env, info, "send", 7, &a) || !(h = take_open_handle(&a, &STREAM_TAG)) ||
      !take_range(&a, 1, &first, &n) || !take_range(&a, 4, &second, &m))
    return NULL;
  int fd = ((struct stream *)h)->fd;
  if (m == 0) return outcome(env, send(fd, first, n, MSG_DONTWAIT | MSG_NOSIGNAL));
  struct iovec parts[2] = {{.iov_base = first, .iov_len = n}, {.iov_base = second, .iov_len = m}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  return outcome(env, sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL));
}

static void on_ready(uv_poll_t *poll, int status, int events) {
  struct handle *h = uv_handle_get_data((uv_handle_t *)poll);
  /* libuv stops at an error of the socket: whoever is called finds it by trying. */
  if (status < 0) {
    events = h->events;
    h->events = 0;
  }
  call_back(h, events);
}

static napi_value watch(napi_env env, napi_callback_info info, const char *function, const napi_type_tag *tag) {
  struct arguments a;
  struct handle *h;
  int events;
  if (!take_arguments(env, info, function, 3, &a) || !(h = take_open_handle(&a, tag)) ||
      !take_int(&a, 1, 0, UV_READABLE | UV_WRITABLE | UV_DISCONNECT, &events) || !take_function(&a, 2))
    return NULL;
  return integer(env, watch_handle(h, a.value[0], events, a.value[2], on_ready));
}
/* watch(stream, events, callback), attend(listener, events, callback): 1 readable, 2 writable, 4 the peer hung up, 0 nothing */
static napi_value js_watch(napi_env env, napi_callback_info info) { return watch(env, info, "watch", &STREAM_TAG); }
static napi_value js_attend(napi_env env, napi_callback_info info) { return watch(env, info, "attend", &LISTENER_TAG); }

/* interest(stream, events): changes what watch() watches for */
static napi_value js_interest(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  int events;
  if (!take_arguments(env, info, "interest", 2, &a) || !(h = take_open_handle(&a, &STREAM_TAG)) ||
      !take_int(&a, 1, 0, UV_READABLE | UV_WRITABLE | UV_DISCONNECT, &events))
    return NULL;
  if (!h->poll) {
    type_error(&a, "ERR_NOT_WATCHED", "watch() was not called for this stream");
    return NULL;
  }
  return integer(env, h->events == events ? 0 : watch_handle(h, a.value[0], events, NULL, on_ready));
}

/* detach(stream): closes the handle and returns a descriptor of the same connection, which the caller now owns */
static napi_value js_detach(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  if (!take_arguments(env, info, "detach", 1, &a) || !(h = take_open_handle(&a, &STREAM_TAG))) return NULL;
  int fd = fcntl(((struct stream *)h)->fd, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return outcome(env, -1);
  close_handle(h);
  return integer(env, fd);
}

/* close(stream), dismiss(listener). Again is harmless. */
static napi_value js_close(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  if (!take_arguments(env, info, "close", 1, &a) || !(h = take_handle(&a, &STREAM_TAG))) return NULL;
  close_handle(h);
  return undefined(env);
}
static napi_value js_dismiss(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  if (!take_arguments(env, info, "dismiss", 1, &a) || !(h = take_handle(&a, &LISTENER_TAG))) return NULL;
  close_handle(h);
  return undefined(env);
}

NAPI_MODULE_INIT() {
  static const struct exported functions[] = {
      {"listen", js_listen},   {"accept", js_accept}, {"name", js_name},         {"peer", js_peer},
      {"receive", js_receive}, {"send", js_send},     {"watch", js_watch},       {"attend", js_attend},
      {"interest", js_interest}, {"detach", js_detach}, {"close", js_close},     {"dismiss", js_dismiss},
      {"connect", js_connect}, {"duplicate", js_duplicate}, {"dial", js_dial},    {"buffers", js_buffers},
  };
  return export_addon(env, exports, functions, sizeof functions / sizeof *functions);
}
