/*
 * What Node lacks to speak with the kernel: sockets of any family and a timerfd, both watched by the event loop;
 * real-time priority and its neighbours. Node-API only, so that one file loads in every Node from 20 on. Nothing is
 * parsed here: addresses, options and control data cross as the raw bytes of the kernel's structures.
 *
 * Conventions. What the kernel may refuse returns a number: the result, or the negative errno. Misuse (wrong count,
 * type or range of arguments, a closed handle) throws with a `code`, and never reaches the kernel. A handle is an
 * opaque object; while it is watched the event loop keeps it alive, otherwise garbage collection closes it. When its
 * environment ends (a worker too) every handle is closed before the event loop is taken down.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <node_api.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* libuv's part of the ABI that is used, declared by hand: these have not changed within libuv 1.x, and no uv.h is
 * needed. The handle's size is asked for at run time. */
typedef struct uv_loop_s uv_loop_t;
typedef struct uv_poll_s uv_poll_t;
typedef struct uv_handle_s uv_handle_t;
enum { UV_POLL = 8, UV_READABLE = 1 };
size_t uv_handle_size(int type);
void uv_handle_set_data(uv_handle_t *, void *);
void *uv_handle_get_data(const uv_handle_t *);
int uv_poll_init(uv_loop_t *, uv_poll_t *, int fd);
int uv_poll_start(uv_poll_t *, int events, void (*)(uv_poll_t *, int status, int events));
int uv_poll_stop(uv_poll_t *);
void uv_close(uv_handle_t *, void (*)(uv_handle_t *));
void uv_ref(uv_handle_t *);
void uv_unref(uv_handle_t *);

enum {
  MAX_SLOTS = 1024,          /* UIO_MAXIOV, the most that recvmmsg takes */
  MAX_SLOT_BYTES = 1 << 20,
  MAX_CONTROL = 4096,
  MAX_BATCH = 64 << 20,
  NAME_BYTES = 128,          /* sizeof(struct sockaddr_storage) */
  RECORD_INTS = 4,           /* per slot: bytes, name bytes, control bytes, MSG_* flags */
  MAX_OPTION = 65536,
  IOCTL_BYTES = 256,
  MAX_FAILURES = 16,
  MAX_READY = 4096,          /* sockets that one wake of an epoll may tell of */
  READY_INTS = 2,            /* per ready socket: its number, its EPOLL* events */
};

/* One for each environment (main thread or worker) that loaded the addon. */
struct addon {
  napi_env env;
  uv_loop_t *loop;
  struct handle *first;
  napi_async_cleanup_hook_handle hook;
  unsigned closing; /* uv_close() calls not yet answered */
  bool ending;
  unsigned owners;
};

enum kind { SOCKET, TIMER, EPOLL };

struct handle {
  struct addon *addon;
  struct handle *next, **link;
  enum kind kind;
  int fd; /* -1 once closed */
  unsigned owners; /* the JavaScript object, libuv until its close callback, a callback in progress */
  bool watching;
  uv_poll_t *poll;
  napi_ref self; /* held only while watched */
  napi_ref callback;
  napi_ref memory; /* the ArrayBuffer of the batch, or of the ready sockets */
  struct mmsghdr *headers;
  struct iovec *vectors;
  uint32_t slots, slot_bytes, control_bytes;
  int receive_flags;
  unsigned failures; /* wakes in a row whose receive failed although no error was pending */
};

static const napi_type_tag HANDLE_TAG = {0x9d4f0c3be1a84c02, 0xa1f35b7702d94e6c};

/* ------------------------------------------------------------------------------------------ lifetime */

static void release_addon(struct addon *a) {
  if (--a->owners == 0) free(a);
}

static void release_handle(struct handle *h) {
  if (--h->owners > 0) return;
  struct addon *a = h->addon;
  free(h->headers);
  free(h->vectors);
  free(h);
  release_addon(a);
}

static void drop_reference(napi_env env, napi_ref *r) {
  if (*r) napi_delete_reference(env, *r);
  *r = NULL;
}

/* The last handle is gone while the environment ends: now, and not earlier, may the loop be taken down. */
static void ended_if_idle(struct addon *a) {
  if (!a->ending || a->closing > 0 || !a->hook) return;
  napi_async_cleanup_hook_handle hook = a->hook;
  a->hook = NULL;
  napi_remove_async_cleanup_hook(hook);
  release_addon(a);
}

static void on_closed(uv_handle_t *u) {
  struct handle *h = uv_handle_get_data(u);
  struct addon *a = h->addon;
  free(u);
  a->closing--;
  ended_if_idle(a); /* first: the handle still owns the addon */
  release_handle(h);
}

static void close_handle(struct handle *h) {
  if (h->fd < 0) return;
  struct addon *a = h->addon;
  if (h->poll) {
    uv_poll_stop(h->poll);
    uv_close((uv_handle_t *)h->poll, on_closed);
    a->closing++;
    h->poll = NULL; /* freed in on_closed, which also gives up libuv's ownership */
  }
  close(h->fd); /* after uv_close, which took it out of the loop's set */
  h->fd = -1;
  h->watching = false;
  *h->link = h->next;
  if (h->next) h->next->link = h->link;
  drop_reference(a->env, &h->callback);
  drop_reference(a->env, &h->memory);
  drop_reference(a->env, &h->self);
}

static void on_collected(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  struct handle *h = data;
  close_handle(h);
  release_handle(h);
}

static void on_environment_end(napi_async_cleanup_hook_handle hook, void *data) {
  (void)hook;
  struct addon *a = data;
  a->ending = true;
  while (a->first) close_handle(a->first);
  ended_if_idle(a);
}

static void on_instance_end(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  release_addon(data);
}

/* ------------------------------------------------------------------------------------------ arguments */

#define MAX_ARGUMENTS 5
struct arguments {
  napi_env env;
  napi_value value[MAX_ARGUMENTS];
  const char *function;
};

static void type_error(napi_env env, const char *code, const char *function, const char *what) {
  char message[160];
  snprintf(message, sizeof message, "%s: %s", function, what);
  napi_throw_type_error(env, code, message);
}

static bool take_arguments(napi_env env, napi_callback_info info, const char *function, size_t want,
                           struct arguments *a) {
  size_t have = MAX_ARGUMENTS;
  a->env = env;
  a->function = function;
  if (napi_get_cb_info(env, info, &have, a->value, NULL, NULL) == napi_ok && have == want) return true;
  type_error(env, "ERR_MISSING_ARGS", function, "wrong number of arguments");
  return false;
}

static bool take_number(struct arguments *a, int i, double low, double high, double *out) {
  napi_valuetype t;
  if (napi_typeof(a->env, a->value[i], &t) != napi_ok || t != napi_number) {
    type_error(a->env, "ERR_INVALID_ARG_TYPE", a->function, "a number was expected");
    return false;
  }
  napi_get_value_double(a->env, a->value[i], out);
  if (!(*out >= low && *out <= high) || *out != floor(*out)) {
    char message[160];
    snprintf(message, sizeof message, "%s: argument %d is no whole number in %.0f..%.0f", a->function, i + 1, low, high);
    napi_throw_range_error(a->env, "ERR_OUT_OF_RANGE", message);
    return false;
  }
  return true;
}

static bool take_int(struct arguments *a, int i, int low, int high, int *out) {
  double d;
  if (!take_number(a, i, low, high, &d)) return false;
  *out = (int)d;
  return true;
}

static bool take_bool(struct arguments *a, int i, bool *out) {
  if (napi_get_value_bool(a->env, a->value[i], out) == napi_ok) return true;
  type_error(a->env, "ERR_INVALID_ARG_TYPE", a->function, "a boolean was expected");
  return false;
}

/* A Uint8Array of `low` to `high` bytes; with `optional`, undefined stands for none. */
static bool take_bytes(struct arguments *a, int i, size_t low, size_t high, bool optional, uint8_t **data, size_t *n) {
  *data = NULL;
  *n = 0;
  napi_valuetype t;
  napi_typeof(a->env, a->value[i], &t);
  if (optional && t == napi_undefined) return true;
  bool is = false;
  napi_typedarray_type array = napi_int8_array;
  if (t == napi_object) napi_is_typedarray(a->env, a->value[i], &is);
  void *at = NULL;
  if (is) napi_get_typedarray_info(a->env, a->value[i], &array, n, &at, NULL, NULL);
  if (!is || array != napi_uint8_array) {
    type_error(a->env, "ERR_INVALID_ARG_TYPE", a->function, "a Uint8Array was expected");
    return false;
  }
  if (*n < low || *n > high || (*n > 0 && !at)) {
    char message[160];
    snprintf(message, sizeof message, "%s: argument %d has %zu bytes, not %zu..%zu", a->function, i + 1, *n, low, high);
    napi_throw_range_error(a->env, "ERR_OUT_OF_RANGE", message);
    return false;
  }
  *data = at;
  return true;
}

static bool take_path(struct arguments *a, int i, char *out, size_t room) {
  napi_valuetype t;
  size_t n;
  if (napi_typeof(a->env, a->value[i], &t) != napi_ok || t != napi_string ||
      napi_get_value_string_utf8(a->env, a->value[i], NULL, 0, &n) != napi_ok) {
    type_error(a->env, "ERR_INVALID_ARG_TYPE", a->function, "a string was expected");
    return false;
  }
  if (n > 0 && n < room) {
    napi_get_value_string_utf8(a->env, a->value[i], out, room, &n);
    if (strlen(out) == n) return true;
  }
  napi_throw_range_error(a->env, "ERR_OUT_OF_RANGE", "the path is empty, too long, or holds a NUL");
  return false;
}

enum wanted { ANY, ONLY_SOCKET, ONLY_TIMER, ONLY_EPOLL };

/* The handle of argument i + 1, open or not. */
static struct handle *take_handle_at(struct arguments *a, int i, enum wanted wanted) {
  static const char *const expected[] = {
      "a handle was expected", "a socket was expected", "a timer was expected", "an epoll was expected"};
  napi_valuetype t;
  bool ours = false;
  struct handle *h = NULL;
  if (napi_typeof(a->env, a->value[i], &t) == napi_ok && t == napi_object)
    napi_check_object_type_tag(a->env, a->value[i], &HANDLE_TAG, &ours);
  if (ours) napi_unwrap(a->env, a->value[i], (void **)&h);
  if (!h || (wanted == ONLY_SOCKET && h->kind != SOCKET) || (wanted == ONLY_TIMER && h->kind != TIMER) ||
      (wanted == ONLY_EPOLL && h->kind != EPOLL)) {
    type_error(a->env, "ERR_INVALID_ARG_TYPE", a->function, expected[wanted]);
    return NULL;
  }
  return h;
}

static struct handle *take_handle(struct arguments *a, enum wanted wanted) { return take_handle_at(a, 0, wanted); }

static struct handle *take_open_handle_at(struct arguments *a, int i, enum wanted wanted) {
  struct handle *h = take_handle_at(a, i, wanted);
  if (h && h->fd < 0) {
    type_error(a->env, "ERR_HANDLE_CLOSED", a->function, "the handle is closed");
    return NULL;
  }
  return h;
}

static struct handle *take_open_handle(struct arguments *a, enum wanted wanted) {
  return take_open_handle_at(a, 0, wanted);
}

static napi_value number(napi_env env, double d) {
  napi_value v = NULL;
  napi_create_double(env, d, &v);
  return v;
}

static napi_value integer(napi_env env, int64_t n) {
  napi_value v = NULL;
  if (n >= INT32_MIN && n <= INT32_MAX) napi_create_int32(env, (int32_t)n, &v);
  else napi_create_double(env, (double)n, &v);
  return v;
}

/* The result of a system call in the addon's convention. Nothing may stand between the call and this. */
static napi_value outcome(napi_env env, int64_t result) { return integer(env, result < 0 ? -errno : result); }

static napi_value undefined(napi_env env) {
  napi_value v = NULL;
  napi_get_undefined(env, &v);
  return v;
}

/* ------------------------------------------------------------------------------------------ handles */

static napi_value new_handle(napi_env env, enum kind kind, int fd) {
  struct addon *a = NULL;
  napi_get_instance_data(env, (void **)&a);
  struct handle *h = calloc(1, sizeof *h);
  napi_value object = NULL;
  if (!h || napi_create_object(env, &object) != napi_ok ||
      napi_type_tag_object(env, object, &HANDLE_TAG) != napi_ok ||
      napi_wrap(env, object, h, on_collected, NULL, NULL) != napi_ok) {
    free(h);
    close(fd);
    napi_throw_error(env, "ERR_NO_MEMORY", "a handle could not be made");
    return NULL;
  }
  h->addon = a;
  a->owners++;
  h->kind = kind;
  h->fd = fd;
  h->owners = 1;
  h->next = a->first;
  h->link = &a->first;
  if (h->next) h->next->link = &h->next;
  a->first = h;
  return object;
}

/* open(family, type, protocol): handle. Close-on-exec and non-blocking. */
static napi_value js_open(napi_env env, napi_callback_info info) {
  struct arguments a;
  int family, type, protocol;
  if (!take_arguments(env, info, "open", 3, &a) || !take_int(&a, 0, 0, 255, &family) ||
      !take_int(&a, 1, 1, 255, &type) || !take_int(&a, 2, 0, 65535, &protocol))
    return NULL;
  int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  if (fd < 0) return outcome(env, fd);
  napi_value object = new_handle(env, SOCKET, fd);
  struct handle *h = NULL;
  if (object && napi_unwrap(env, object, (void **)&h) == napi_ok)
    /* Only unix sockets pass descriptors, and packet sockets refuse the flag. */
    h->receive_flags = MSG_DONTWAIT | (family == AF_UNIX ? MSG_CMSG_CLOEXEC : 0);
  return object;
}

/* close(handle). Again is harmless. */
static napi_value js_close(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  if (!take_arguments(env, info, "close", 1, &a) || !(h = take_handle(&a, ANY))) return NULL;
  close_handle(h);
  return undefined(env);
}

/* bind(socket, sockaddr), connect(socket, sockaddr) */
static napi_value js_bind(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  uint8_t *name;
  size_t n;
  if (!take_arguments(env, info, "bind", 2, &a) || !(h = take_open_handle(&a, ONLY_SOCKET)) ||
      !take_bytes(&a, 1, 2, NAME_BYTES, false, &name, &n))
    return NULL;
  return outcome(env, bind(h->fd, (struct sockaddr *)name, (socklen_t)n));
}

static napi_value js_connect(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  uint8_t *name;
  size_t n;
  if (!take_arguments(env, info, "connect", 2, &a) || !(h = take_open_handle(&a, ONLY_SOCKET)) ||
      !take_bytes(&a, 1, 2, NAME_BYTES, false, &name, &n))
    return NULL;
  return outcome(env, connect(h->fd, (struct sockaddr *)name, (socklen_t)n));
}

/* localName(socket, room): length. Fills `room` with the socket's own sockaddr. */
static napi_value js_local_name(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  uint8_t *room;
  size_t n;
  if (!take_arguments(env, info, "localName", 2, &a) || !(h = take_open_handle(&a, ONLY_SOCKET)) ||
      !take_bytes(&a, 1, 2, NAME_BYTES, false, &room, &n))
    return NULL;
  socklen_t length = (socklen_t)n;
  int r = getsockname(h->fd, (struct sockaddr *)room, &length);
  return outcome(env, r < 0 ? r : length > n ? (int64_t)n : length);
}

/*
 * Options whose value holds an address of memory cannot cross as bytes: the filters (struct sock_fprog), the tables of
 * iptables, arptables and ebtables, TCP_ZEROCOPY_RECEIVE, and AF_XDP's shared memory.
 */
static bool option_is_safe(int level, int option) {
  switch (level) {
    case 1: /* SOL_SOCKET: SO_ATTACH_FILTER, SO_ATTACH_REUSEPORT_CBPF */
      return option != 26 && option != 51;
    case 0: /* SOL_IP */
      return !(option == 64 || option == 65 || option == 96 || option == 97 || (option >= 128 && option <= 133));
    case 41: /* SOL_IPV6 */
      return option != 64 && option != 65;
    case 6: /* SOL_TCP */
      return option != 35;
    case 263: /* SOL_PACKET: PACKET_FANOUT_DATA */
      return option != 22;
    case 283: /* SOL_XDP */
      return false;
    default:
      return true;
  }
}

static bool take_option(struct arguments *a, int *level, int *option) {
  if (!take_int(a, 1, 0, INT32_MAX, level) || !take_int(a, 2, 0, INT32_MAX, option)) return false;
  if (option_is_safe(*level, *option)) return true;
  type_error(a->env, "ERR_OPTION_HOLDS_POINTER", a->function, "this option's value is not plain bytes");
  return false;
}

/* setOption(socket, level, option, value) */
static napi_value js_set_option(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  int level, option;
  uint8_t *value;
  size_t n;
  if (!take_arguments(env, info, "setOption", 4, &a) || !(h = take_open_handle(&a, ONLY_SOCKET)) ||
      !take_option(&a, &level, &option) || !take_bytes(&a, 3, 0, MAX_OPTION, false, &value, &n))
    return NULL;
  return outcome(env, setsockopt(h->fd, level, option, value, (socklen_t)n));
}

/* getOption(socket, level, option, room): length. `room` also goes in, as some options ask with it. */
static napi_value js_get_option(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  int level, option;
  uint8_t *value;
  size_t n;
  if (!take_arguments(env, info, "getOption", 4, &a) || !(h = take_open_handle(&a, ONLY_SOCKET)) ||
      !take_option(&a, &level, &option) || !take_bytes(&a, 3, 1, MAX_OPTION, false, &value, &n))
    return NULL;
  socklen_t length = (socklen_t)n;
  int r = getsockopt(h->fd, level, option, value, &length);
  return outcome(env, r < 0 ? r : (int64_t)length);
}

/*
 * ioctl(socket, request, bytes): result. For the requests that take a struct ifreq and hold no pointer; the bytes go
 * through a scratch area, so that a short argument is no overrun.
 */
static napi_value js_ioctl(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  int request;
  uint8_t *bytes, scratch[IOCTL_BYTES] = {0};
  size_t n;
  if (!take_arguments(env, info, "ioctl", 3, &a) || !(h = take_open_handle(&a, ONLY_SOCKET)) ||
      !take_int(&a, 1, 0x8910 /* SIOCGIFNAME */, 0x8949 /* SIOCSMIIREG */, &request) ||
      !take_bytes(&a, 2, 1, IOCTL_BYTES, false, &bytes, &n))
    return NULL;
  /* SIOCGIFCONF, SIOCGIFBR, SIOCSIFBR, SIOCETHTOOL */
  if (request == 0x8912 || request == 0x8940 || request == 0x8941 || request == 0x8946) {
    type_error(env, "ERR_OPTION_HOLDS_POINTER", "ioctl", "this request's argument is not plain bytes");
    return NULL;
  }
  memcpy(scratch, bytes, n);
  int r = ioctl(h->fd, (unsigned long)request, scratch);
  napi_value result = outcome(env, r);
  if (r >= 0) memcpy(bytes, scratch, n);
  return result;
}

/* ------------------------------------------------------------------------------------------ sending, receiving */

/* send(socket, bytes, sockaddr | undefined, control | undefined, flags): bytes sent */
static napi_value js_send(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  uint8_t *bytes, *name, *control;
  size_t n, name_bytes, control_bytes;
  int flags;
  if (!take_arguments(env, info, "send", 5, &a) || !(h = take_open_handle(&a, ONLY_SOCKET)) ||
      !take_bytes(&a, 1, 0, MAX_BATCH, false, &bytes, &n) ||
      !take_bytes(&a, 2, 2, NAME_BYTES, true, &name, &name_bytes) ||
      !take_bytes(&a, 3, 0, MAX_CONTROL, true, &control, &control_bytes) || !take_int(&a, 4, 0, INT32_MAX, &flags))
    return NULL;
  struct iovec v = {.iov_base = bytes, .iov_len = n};
  struct msghdr m = {
      .msg_name = name,
      .msg_namelen = (socklen_t)name_bytes,
      .msg_iov = &v,
      .msg_iovlen = 1,
      .msg_control = control_bytes ? control : NULL,
      .msg_controllen = control_bytes,
  };
  return outcome(env, sendmsg(h->fd, &m, flags | MSG_DONTWAIT | MSG_NOSIGNAL));
}

/*
 * batch(socket, slots, slotBytes, controlBytes): ArrayBuffer. The memory into which everything is received from now
 * on. Laid out one behind the other, each part for all slots: four int32 (bytes, name bytes, control bytes, MSG_*
 * flags), the sockaddr (128), the control data, the payload. controlBytes is a multiple of 8.
 */
static napi_value js_batch(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  int slots, slot_bytes, control_bytes;
  if (!take_arguments(env, info, "batch", 4, &a) || !(h = take_open_handle(&a, ONLY_SOCKET)) ||
      !take_int(&a, 1, 1, MAX_SLOTS, &slots) || !take_int(&a, 2, 1, MAX_SLOT_BYTES, &slot_bytes) ||
      !take_int(&a, 3, 0, MAX_CONTROL, &control_bytes))
    return NULL;
  size_t total = (size_t)slots * (RECORD_INTS * sizeof(int32_t) + NAME_BYTES + (size_t)control_bytes + (size_t)slot_bytes);
  if (control_bytes % 8 != 0 || total > MAX_BATCH) {
    napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "batch: controlBytes is no multiple of 8, or more than 64 MiB in all");
    return NULL;
  }
  napi_value memory;
  void *data;
  napi_ref reference = NULL;
  struct mmsghdr *headers = calloc((size_t)slots, sizeof *headers);
  struct iovec *vectors = calloc((size_t)slots, sizeof *vectors);
  if (!headers || !vectors || napi_create_arraybuffer(env, total, &data, &memory) != napi_ok ||
      napi_create_reference(env, memory, 1, &reference) != napi_ok) {
    free(headers);
    free(vectors);
    bool thrown = false;
    napi_is_exception_pending(env, &thrown);
    if (!thrown) napi_throw_error(env, "ERR_NO_MEMORY", "batch: no memory");
    return NULL;
  }
  drop_reference(env, &h->memory);
  free(h->headers);
  free(h->vectors);
  h->memory = reference;
  h->headers = headers;
  h->vectors = vectors;
  h->slots = (uint32_t)slots;
  h->slot_bytes = (uint32_t)slot_bytes;
  h->control_bytes = (uint32_t)control_bytes;
  return memory;
}

/* Number of packets now in the batch, or the negative errno. */
static int receive(struct handle *h) {
  napi_env env = h->addon->env;
  napi_value memory;
  uint8_t *base = NULL;
  size_t total = 0;
  /* Asked for again each time: JavaScript may have transferred the buffer away, and then its memory is not ours. */
  if (!h->memory || napi_get_reference_value(env, h->memory, &memory) != napi_ok ||
      napi_get_arraybuffer_info(env, memory, (void **)&base, &total) != napi_ok || !base)
    return -ENOBUFS;
  size_t slots = h->slots;
  int32_t *record = (int32_t *)base;
  uint8_t *names = base + slots * RECORD_INTS * sizeof(int32_t);
  uint8_t *control = names + slots * NAME_BYTES;
  uint8_t *payload = control + slots * h->control_bytes;
  if (total < (size_t)(payload - base) + slots * h->slot_bytes) return -ENOBUFS;
  for (size_t i = 0; i < slots; i++) {
    h->vectors[i] = (struct iovec){.iov_base = payload + i * h->slot_bytes, .iov_len = h->slot_bytes};
    h->headers[i].msg_hdr = (struct msghdr){
        .msg_name = names + i * NAME_BYTES,
        .msg_namelen = NAME_BYTES,
        .msg_iov = &h->vectors[i],
        .msg_iovlen = 1,
        .msg_control = h->control_bytes ? control + i * h->control_bytes : NULL,
        .msg_controllen = h->control_bytes,
    };
  }
  int n;
  do n = recvmmsg(h->fd, h->headers, (unsigned)slots, h->receive_flags, NULL);
  while (n < 0 && errno == EINTR);
  if (n < 0) return errno == EAGAIN ? 0 : -errno;
  for (int i = 0; i < n; i++, record += RECORD_INTS) {
    struct mmsghdr *m = &h->headers[i];
    record[0] = (int32_t)m->msg_len;
    record[1] = (int32_t)(m->msg_hdr.msg_namelen > NAME_BYTES ? NAME_BYTES : m->msg_hdr.msg_namelen);
    record[2] = (int32_t)m->msg_hdr.msg_controllen;
    record[3] = m->msg_hdr.msg_flags & ~MSG_CMSG_CLOEXEC; /* which the kernel echoes */
  }
  return n;
}

/* receive(socket): packets now in the batch; 0 when nothing is queued. */
static napi_value js_receive(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  if (!take_arguments(env, info, "receive", 1, &a) || !(h = take_open_handle(&a, ONLY_SOCKET))) return NULL;
  if (!h->memory) {
    type_error(env, "ERR_NO_BATCH", "receive", "batch() was not called for this socket");
    return NULL;
  }
  return integer(env, receive(h));
}

/* ------------------------------------------------------------------------------------------ streams */

/*
 * receiveInto(socket, room): bytes received now into `room`, without waiting; 0 is the end of the stream, -EAGAIN that
 * nothing is there. For many short connections, which share one piece of memory instead of a batch each.
 */
static napi_value js_receive_into(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  uint8_t *room;
  size_t n;
  if (!take_arguments(env, info, "receiveInto", 2, &a) || !(h = take_open_handle(&a, ONLY_SOCKET)) ||
      !take_bytes(&a, 1, 1, MAX_SLOT_BYTES, false, &room, &n))
    return NULL;
  return outcome(env, recv(h->fd, room, n, MSG_DONTWAIT));
}

/* detach(socket): a descriptor of its own for the same connection, close-on-exec; the handle is closed. */
static napi_value js_detach(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  if (!take_arguments(env, info, "detach", 1, &a) || !(h = take_open_handle(&a, ONLY_SOCKET))) return NULL;
  int fd = fcntl(h->fd, F_DUPFD_CLOEXEC, 3);
  napi_value result = outcome(env, fd);
  if (fd >= 0) close_handle(h);
  return result;
}

/* epoll(): handle. Watches many sockets with one handle of the event loop and one call for each wake. */
static napi_value js_epoll(napi_env env, napi_callback_info info) {
  struct arguments a;
  if (!take_arguments(env, info, "epoll", 0, &a)) return NULL;
  int fd = epoll_create1(EPOLL_CLOEXEC);
  return fd < 0 ? outcome(env, fd) : new_handle(env, EPOLL, fd);
}

/* epollMemory(epoll, slots): ArrayBuffer of two int32 for each ready socket, its number and its EPOLL* events. */
static napi_value js_epoll_memory(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  int slots;
  napi_value memory;
  void *data;
  napi_ref reference;
  if (!take_arguments(env, info, "epollMemory", 2, &a) || !(h = take_open_handle(&a, ONLY_EPOLL)) ||
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
 * caller's; 0 events: no more. A socket that is closed leaves by itself.
 */
static napi_value js_epoll_set(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h, *s;
  int number, events;
  if (!take_arguments(env, info, "epollSet", 4, &a) || !(h = take_open_handle(&a, ONLY_EPOLL)) ||
      !(s = take_open_handle_at(&a, 1, ONLY_SOCKET)) || !take_int(&a, 2, 0, INT32_MAX, &number) ||
      !take_int(&a, 3, 0, INT32_MAX, &events))
    return NULL;
  struct epoll_event e = {.events = (uint32_t)events, .data.u32 = (uint32_t)number};
  int r = epoll_ctl(h->fd, events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL, s->fd, &e);
  if (r < 0 && errno == ENOENT && events) r = epoll_ctl(h->fd, EPOLL_CTL_ADD, s->fd, &e);
  return outcome(env, r);
}

/* Number of ready sockets now in the memory, or the negative errno. */
static int take_ready(struct handle *h) {
  napi_env env = h->addon->env;
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

/* ------------------------------------------------------------------------------------------ watching */

static void on_ready(uv_poll_t *poll, int status, int events) {
  (void)events;
  struct handle *h = uv_handle_get_data((uv_handle_t *)poll);
  napi_env env = h->addon->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  h->owners++; /* the callback may close the handle */
  int n;
  if (h->kind == SOCKET) {
    n = receive(h);
    if (status < 0) {
      /* libuv stops watching on EPOLLERR and says EBADF, whatever the pending error is: an ICMP error, a link that
       * went down, a netlink overrun. receive() took it from the socket; if something else was queued before it, it
       * stays for the next wake. */
      uv_poll_start(h->poll, UV_READABLE, on_ready);
      h->failures = 0;
    } else if (n >= 0) {
      h->failures = 0;
    } else if (++h->failures >= MAX_FAILURES) {
      uv_poll_stop(h->poll); /* it would wake for ever */
    }
  } else if (h->kind == EPOLL) {
    n = take_ready(h);
    if (n < 0) uv_poll_stop(h->poll); /* it would wake for ever */
  } else {
    uint64_t expirations;
    n = read(h->fd, &expirations, sizeof expirations) == sizeof expirations ? 1 : 0;
  }
  if (n != 0) {
    napi_value callback, object, argument, result;
    napi_get_reference_value(env, h->callback, &callback);
    napi_get_reference_value(env, h->self, &object);
    argument = integer(env, n);
    if (napi_make_callback(env, NULL, object, callback, 1, &argument, &result) == napi_pending_exception) {
      napi_value error;
      if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
    }
  }
  release_handle(h);
  napi_close_handle_scope(env, scope);
}

/*
 * watch(handle, callback). Socket: whenever something is queued, one batch is received and callback(n) called once;
 * n < 0 is the error that was pending on the socket (-ENOBUFS: packets were lost; -ENETDOWN), and watching goes on;
 * only after 16 failures in a row that no pending error explains (the batch's memory was taken away) it ends.
 * Timer: callback(1) when the deadline has passed. Epoll: callback(n) with n ready sockets in the memory; n < 0 when
 * the memory was taken away, and watching ends. A second call replaces the callback.
 */
static napi_value js_watch(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  napi_valuetype t;
  if (!take_arguments(env, info, "watch", 2, &a) || !(h = take_open_handle(&a, ANY))) return NULL;
  napi_typeof(env, a.value[1], &t);
  if (t != napi_function) {
    type_error(env, "ERR_INVALID_ARG_TYPE", "watch", "a function was expected");
    return NULL;
  }
  if (h->kind != TIMER && !h->memory) {
    type_error(env, "ERR_NO_BATCH", "watch", "batch() or epollMemory() was not called for this handle");
    return NULL;
  }
  if (!h->poll) {
    uv_poll_t *poll = calloc(1, uv_handle_size(UV_POLL));
    int r = poll ? uv_poll_init(h->addon->loop, poll, h->fd) : -ENOMEM;
    if (r < 0) {
      free(poll);
      return integer(env, r);
    }
    uv_handle_set_data((uv_handle_t *)poll, h);
    h->poll = poll;
    h->owners++;
  }
  drop_reference(env, &h->callback);
  napi_create_reference(env, a.value[1], 1, &h->callback);
  if (!h->self) napi_create_reference(env, a.value[0], 1, &h->self);
  int r = h->watching ? 0 : uv_poll_start(h->poll, UV_READABLE, on_ready);
  if (r == 0) h->watching = true;
  return integer(env, r);
}

/* unwatch(handle). What arrives stays queued. */
static napi_value js_unwatch(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  if (!take_arguments(env, info, "unwatch", 1, &a) || !(h = take_open_handle(&a, ANY))) return NULL;
  if (h->watching) {
    uv_poll_stop(h->poll);
    h->watching = false;
    drop_reference(env, &h->callback);
    drop_reference(env, &h->self);
  }
  return undefined(env);
}

/* keepAlive(handle, yes): whether a watched handle keeps the event loop running. It does unless told otherwise. */
static napi_value js_keep_alive(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  bool yes;
  if (!take_arguments(env, info, "keepAlive", 2, &a) || !(h = take_open_handle(&a, ANY)) || !take_bool(&a, 1, &yes))
    return NULL;
  if (h->poll) (yes ? uv_ref : uv_unref)((uv_handle_t *)h->poll);
  return undefined(env);
}

/* ------------------------------------------------------------------------------------------ time */

static double microseconds(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec * 1e6 + (double)(t.tv_nsec / 1000);
}

/* now(): whole microseconds of CLOCK_MONOTONIC */
static napi_value js_now(napi_env env, napi_callback_info info) {
  (void)info;
  return number(env, microseconds(CLOCK_MONOTONIC));
}

/* wallOffset(): CLOCK_REALTIME - CLOCK_MONOTONIC in microseconds, now */
static napi_value js_wall_offset(napi_env env, napi_callback_info info) {
  (void)info;
  return number(env, microseconds(CLOCK_REALTIME) - microseconds(CLOCK_MONOTONIC));
}

/* timer(): handle of a timerfd on CLOCK_MONOTONIC */
static napi_value js_timer(napi_env env, napi_callback_info info) {
  struct arguments a;
  if (!take_arguments(env, info, "timer", 0, &a)) return NULL;
  int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  return fd < 0 ? outcome(env, fd) : new_handle(env, TIMER, fd);
}

/* arm(timer, deadline): fires once when now() has reached `deadline` (microseconds); 0 disarms. */
static napi_value js_arm(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  double deadline;
  if (!take_arguments(env, info, "arm", 2, &a) || !(h = take_open_handle(&a, ONLY_TIMER)) ||
      !take_number(&a, 1, 0, 9007199254740991.0, &deadline))
    return NULL;
  int64_t us = (int64_t)deadline;
  struct itimerspec t = {.it_value = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}};
  return outcome(env, timerfd_settime(h->fd, TFD_TIMER_ABSTIME, &t, NULL));
}

/* ------------------------------------------------------------------------------------------ the thread, the process */

/* setScheduler(policy, priority): of this thread, always with SCHED_RESET_ON_FORK, so that no child inherits it. */
static napi_value js_set_scheduler(napi_env env, napi_callback_info info) {
  struct arguments a;
  int policy, priority;
  if (!take_arguments(env, info, "setScheduler", 2, &a) || !take_int(&a, 0, 0, 7, &policy) ||
      !take_int(&a, 1, 0, 99, &priority))
    return NULL;
  struct sched_param p = {.sched_priority = priority};
  return outcome(env, sched_setscheduler(0, policy | SCHED_RESET_ON_FORK, &p));
}

/* getScheduler(): policy * 256 + priority of this thread, without the reset-on-fork bit */
static napi_value js_get_scheduler(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct sched_param p;
  if (!take_arguments(env, info, "getScheduler", 0, &a)) return NULL;
  int policy = sched_getscheduler(0);
  if (policy < 0 || sched_getparam(0, &p) < 0) return outcome(env, -1);
  return integer(env, (policy & ~SCHED_RESET_ON_FORK) * 256 + p.sched_priority);
}

/* setNice(n): of this thread (Linux keeps it for each thread) */
static napi_value js_set_nice(napi_env env, napi_callback_info info) {
  struct arguments a;
  int n;
  if (!take_arguments(env, info, "setNice", 1, &a) || !take_int(&a, 0, -20, 19, &n)) return NULL;
  return outcome(env, setpriority(PRIO_PROCESS, 0, n));
}

/* setAffinity(mask), getAffinity(room): length. Bit i of the bytes, lowest first, is processor i; of this thread. */
static napi_value js_set_affinity(napi_env env, napi_callback_info info) {
  struct arguments a;
  uint8_t *mask;
  size_t n;
  cpu_set_t set;
  if (!take_arguments(env, info, "setAffinity", 1, &a) || !take_bytes(&a, 0, 1, sizeof set, false, &mask, &n)) return NULL;
  CPU_ZERO(&set);
  for (size_t i = 0; i < n * 8; i++)
    if (mask[i / 8] >> (i % 8) & 1) CPU_SET(i, &set);
  return outcome(env, sched_setaffinity(0, sizeof set, &set));
}

static napi_value js_get_affinity(napi_env env, napi_callback_info info) {
  struct arguments a;
  uint8_t *mask;
  size_t n;
  cpu_set_t set;
  if (!take_arguments(env, info, "getAffinity", 1, &a) || !take_bytes(&a, 0, 1, sizeof set, false, &mask, &n)) return NULL;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) < 0) return outcome(env, -1);
  memset(mask, 0, n);
  for (size_t i = 0; i < n * 8; i++)
    if (CPU_ISSET(i, &set)) mask[i / 8] |= (uint8_t)(1 << (i % 8));
  return integer(env, (int64_t)n);
}

/* parentDeathSignal(signal): what the kernel sends to this process when its parent thread ends; 0 for nothing */
static napi_value js_parent_death_signal(napi_env env, napi_callback_info info) {
  struct arguments a;
  int signal;
  if (!take_arguments(env, info, "parentDeathSignal", 1, &a) || !take_int(&a, 0, 0, 64, &signal)) return NULL;
  return outcome(env, prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0));
}

/*
 * enterNetwork(path): moves this thread into the network namespace at `path`. Sockets opened and programs started by
 * this thread from then on are in it; the thread pool is not. Called first thing in a process.
 */
static napi_value js_enter_network(napi_env env, napi_callback_info info) {
  struct arguments a;
  char path[4096];
  if (!take_arguments(env, info, "enterNetwork", 1, &a) || !take_path(&a, 0, path, sizeof path)) return NULL;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return outcome(env, -1);
  int r = setns(fd, CLONE_NEWNET);
  napi_value result = outcome(env, r);
  close(fd);
  return result;
}

/* ------------------------------------------------------------------------------------------ module */

NAPI_MODULE_INIT() {
  struct addon *a = calloc(1, sizeof *a);
  if (!a) return NULL;
  a->env = env;
  a->owners = 2; /* the instance data and the cleanup hook */
  if (napi_get_uv_event_loop(env, (struct uv_loop_s **)&a->loop) != napi_ok ||
      napi_set_instance_data(env, a, on_instance_end, NULL) != napi_ok ||
      napi_add_async_cleanup_hook(env, on_environment_end, a, &a->hook) != napi_ok) {
    napi_throw_error(env, "ERR_NATIVE", "the addon could not be set up");
    return NULL;
  }
  static const struct {
    const char *name;
    napi_callback call;
  } functions[] = {
      {"open", js_open},
      {"close", js_close},
      {"bind", js_bind},
      {"connect", js_connect},
      {"localName", js_local_name},
      {"setOption", js_set_option},
      {"getOption", js_get_option},
      {"ioctl", js_ioctl},
      {"send", js_send},
      {"batch", js_batch},
      {"receive", js_receive},
      {"receiveInto", js_receive_into},
      {"detach", js_detach},
      {"epoll", js_epoll},
      {"epollMemory", js_epoll_memory},
      {"epollSet", js_epoll_set},
      {"watch", js_watch},
      {"unwatch", js_unwatch},
      {"keepAlive", js_keep_alive},
      {"now", js_now},
      {"wallOffset", js_wall_offset},
      {"timer", js_timer},
      {"arm", js_arm},
      {"setScheduler", js_set_scheduler},
      {"getScheduler", js_get_scheduler},
      {"setNice", js_set_nice},
      {"setAffinity", js_set_affinity},
      {"getAffinity", js_get_affinity},
      {"parentDeathSignal", js_parent_death_signal},
      {"enterNetwork", js_enter_network},
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value f;
    if (napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].call, NULL, &f) != napi_ok ||
        napi_set_named_property(env, exports, functions[i].name, f) != napi_ok)
      return NULL;
  }
  return exports;
}
