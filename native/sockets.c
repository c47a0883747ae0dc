/*
 * What Node lacks to speak with the kernel: sockets of any family, epoll, and a timerfd, watched by the event loop.
 * Node-API only, so that one file loads in every Node from 20 on. Nothing is parsed here: addresses, options and control
 * data cross as the raw bytes of the kernel's structures. Conventions: arguments.h, handles.h.
 */
#define _GNU_SOURCE
#include "epoll.h"
#include "timer.h"
#include <fcntl.h>
#include <sys/ioctl.h>

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
};

/* open(family, type, protocol): handle. Close-on-exec and non-blocking. */
static napi_value js_open(napi_env env, napi_callback_info info) {
  struct arguments a;
  int family, type, protocol;
  if (!take_arguments(env, info, "open", 3, &a) || !take_int(&a, 0, 0, 255, &family) ||
      !take_int(&a, 1, 1, 255, &type) || !take_int(&a, 2, 0, 65535, &protocol))
    return NULL;
  int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  if (fd < 0) return outcome(env, fd);
  struct endpoint *h;
  napi_value object = new_endpoint(env, SOCKET, fd, &h);
  /* Only unix sockets pass descriptors, and packet sockets refuse the flag. */
  if (h) h->receive_flags = MSG_DONTWAIT | (family == AF_UNIX ? MSG_CMSG_CLOEXEC : 0);
  return object;
}

/* close(handle). Again is harmless. */
static napi_value js_close(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct endpoint *h;
  if (!take_arguments(env, info, "close", 1, &a) || !(h = take_endpoint(&a, 0, ANY))) return NULL;
  close_handle(&h->handle);
  return undefined(env);
}

/* bind(socket, sockaddr), connect(socket, sockaddr) */
static napi_value js_bind(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct endpoint *h;
  uint8_t *name;
  size_t n;
  if (!take_arguments(env, info, "bind", 2, &a) || !(h = take_open(&a, ONLY_SOCKET)) ||
      !take_bytes(&a, 1, 2, NAME_BYTES, &name, &n))
    return NULL;
  return outcome(env, bind(h->fd, (struct sockaddr *)name, (socklen_t)n));
}

static napi_value js_connect(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct endpoint *h;
  uint8_t *name;
  size_t n;
  if (!take_arguments(env, info, "connect", 2, &a) || !(h = take_open(&a, ONLY_SOCKET)) ||
      !take_bytes(&a, 1, 2, NAME_BYTES, &name, &n))
    return NULL;
  return outcome(env, connect(h->fd, (struct sockaddr *)name, (socklen_t)n));
}

/* localName(socket, room): length. Fills `room` with the socket's own sockaddr. */
static napi_value js_local_name(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct endpoint *h;
  uint8_t *room;
  size_t n;
  if (!take_arguments(env, info, "localName", 2, &a) || !(h = take_open(&a, ONLY_SOCKET)) ||
      !take_bytes(&a, 1, 2, NAME_BYTES, &room, &n))
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

static bool take_option(const struct arguments *a, int *level, int *option) {
  if (!take_int(a, 1, 0, INT32_MAX, level) || !take_int(a, 2, 0, INT32_MAX, option)) return false;
  if (option_is_safe(*level, *option)) return true;
  type_error(a, "ERR_OPTION_HOLDS_POINTER", "this option's value is not plain bytes");
  return false;
}

/* setOption(socket, level, option, value) */
static napi_value js_set_option(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct endpoint *h;
  int level, option;
  uint8_t *value;
  size_t n;
  if (!take_arguments(env, info, "setOption", 4, &a) || !(h = take_open(&a, ONLY_SOCKET)) ||
      !take_option(&a, &level, &option) || !take_bytes(&a, 3, 0, MAX_OPTION, &value, &n))
    return NULL;
  return outcome(env, setsockopt(h->fd, level, option, value, (socklen_t)n));
}

/* getOption(socket, level, option, room): length. `room` also goes in, as some options ask with it. */
static napi_value js_get_option(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct endpoint *h;
  int level, option;
  uint8_t *value;
  size_t n;
  if (!take_arguments(env, info, "getOption", 4, &a) || !(h = take_open(&a, ONLY_SOCKET)) ||
      !take_option(&a, &level, &option) || !take_bytes(&a, 3, 1, MAX_OPTION, &value, &n))
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
  struct endpoint *h;
  int request;
  uint8_t *bytes, scratch[IOCTL_BYTES] = {0};
  size_t n;
  if (!take_arguments(env, info, "ioctl", 3, &a) || !(h = take_open(&a, ONLY_SOCKET)) ||
      !take_int(&a, 1, 0x8910 /* SIOCGIFNAME */, 0x8949 /* SIOCSMIIREG */, &request) ||
      !take_bytes(&a, 2, 1, IOCTL_BYTES, &bytes, &n))
    return NULL;
  /* SIOCGIFCONF, SIOCGIFBR, SIOCSIFBR, SIOCETHTOOL */
  if (request == 0x8912 || request == 0x8940 || request == 0x8941 || request == 0x8946) {
    type_error(&a, "ERR_OPTION_HOLDS_POINTER", "this request's argument is not plain bytes");
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
  struct endpoint *h;
  uint8_t *bytes, *name, *control;
  size_t n, name_bytes, control_bytes;
  int flags;
  if (!take_arguments(env, info, "send", 5, &a) || !(h = take_open(&a, ONLY_SOCKET)) ||
      !take_bytes(&a, 1, 0, MAX_BATCH, &bytes, &n) ||
      !take_optional_bytes(&a, 2, 2, NAME_BYTES, &name, &name_bytes) ||
      !take_optional_bytes(&a, 3, 0, MAX_CONTROL, &control, &control_bytes) || !take_int(&a, 4, 0, INT32_MAX, &flags))
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
  struct endpoint *h;
  int slots, slot_bytes, control_bytes;
  if (!take_arguments(env, info, "batch", 4, &a) || !(h = take_open(&a, ONLY_SOCKET)) ||
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
static int receive(struct endpoint *h) {
  napi_env env = h->handle.addon->env;
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
  struct endpoint *h;
  if (!take_arguments(env, info, "receive", 1, &a) || !(h = take_open(&a, ONLY_SOCKET))) return NULL;
  if (!h->memory) {
    type_error(&a, "ERR_NO_BATCH", "batch() was not called for this socket");
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
  struct endpoint *h;
  uint8_t *room;
  size_t n;
  if (!take_arguments(env, info, "receiveInto", 2, &a) || !(h = take_open(&a, ONLY_SOCKET)) ||
      !take_bytes(&a, 1, 1, MAX_SLOT_BYTES, &room, &n))
    return NULL;
  return outcome(env, recv(h->fd, room, n, MSG_DONTWAIT));
}

/* detach(socket): a descriptor of its own for the same connection, close-on-exec; the handle is closed. */
static napi_value js_detach(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct endpoint *h;
  if (!take_arguments(env, info, "detach", 1, &a) || !(h = take_open(&a, ONLY_SOCKET))) return NULL;
  int fd = fcntl(h->fd, F_DUPFD_CLOEXEC, 3);
  napi_value result = outcome(env, fd);
  if (fd >= 0) close_handle(&h->handle);
  return result;
}

/* ------------------------------------------------------------------------------------------ watching */

static void on_ready(uv_poll_t *poll, int status, int events) {
  (void)events;
  struct endpoint *h = uv_handle_get_data((uv_handle_t *)poll);
  napi_env env = h->handle.addon->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  int n;
  if (h->kind == SOCKET) {
    n = receive(h);
    if (status < 0) {
      /* libuv stops watching on EPOLLERR and says EBADF, whatever the pending error is: an ICMP error, a link that
       * went down, a netlink overrun. receive() took it from the socket; if something else was queued before it, it
       * stays for the next wake. */
      uv_poll_start(poll, UV_READABLE, on_ready);
      h->failures = 0;
    } else if (n >= 0) {
      h->failures = 0;
    } else if (++h->failures >= MAX_FAILURES) {
      uv_poll_stop(poll); /* it would wake for ever */
    }
  } else if (h->kind == EPOLL) {
    n = take_ready(h);
    if (n < 0) uv_poll_stop(poll); /* it would wake for ever */
  } else {
    uint64_t expirations;
    n = read(h->fd, &expirations, sizeof expirations) == sizeof expirations ? 1 : 0;
  }
  if (n != 0) call_back(&h->handle, n);
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
  struct endpoint *h;
  if (!take_arguments(env, info, "watch", 2, &a) || !(h = take_open(&a, ANY)) || !take_function(&a, 1)) return NULL;
  if (h->kind != TIMER && !h->memory) {
    type_error(&a, "ERR_NO_BATCH", "batch() or epollMemory() was not called for this handle");
    return NULL;
  }
  return integer(env, watch_handle(&h->handle, a.value[0], UV_READABLE, a.value[1], on_ready));
}

/* unwatch(handle). What arrives stays queued. */
static napi_value js_unwatch(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct endpoint *h;
  if (!take_arguments(env, info, "unwatch", 1, &a) || !(h = take_open(&a, ANY))) return NULL;
  unwatch_handle(&h->handle);
  return undefined(env);
}

/* keepAlive(handle, yes): whether a watched handle keeps the event loop running. It does unless told otherwise. */
static napi_value js_keep_alive(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct endpoint *h;
  bool yes;
  if (!take_arguments(env, info, "keepAlive", 2, &a) || !(h = take_open(&a, ANY)) || !take_bool(&a, 1, &yes))
    return NULL;
  if (h->handle.poll) (yes ? uv_ref : uv_unref)((uv_handle_t *)h->handle.poll);
  return undefined(env);
}

/* ------------------------------------------------------------------------------------------ module */

NAPI_MODULE_INIT() {
  static const struct exported functions[] = {
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
      {"epollTake", js_epoll_take},
      {"watch", js_watch},
      {"unwatch", js_unwatch},
      {"keepAlive", js_keep_alive},
      {"now", js_now},
      {"wallOffset", js_wall_offset},
      {"timer", js_timer},
      {"arm", js_arm},
  };
  return export_addon(env, exports, functions, sizeof functions / sizeof *functions);
}
