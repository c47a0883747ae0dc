/*
 * A listening TCP socket on an address that this host may not have yet (IP_FREEBIND): Node binds only to what is there,
 * and a standby listens before the address comes. Node-API only; the file descriptor is handed to node:net.
 */
#include "arguments.h"
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static int listening(const struct sockaddr_storage *name, socklen_t length, int backlog) {
  const int on = 1;
  int fd = socket(name->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  int r = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (r == 0 && name->ss_family == AF_INET) r = setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof on);
  if (r == 0 && name->ss_family == AF_INET6) {
    r = setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on);
    if (r == 0) r = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  }
  if (r == 0) r = bind(fd, (const struct sockaddr *)name, length);
  if (r == 0) r = listen(fd, backlog);
  if (r == 0) return fd;
  r = -errno;
  close(fd);
  return r;
}

/* listen(sockaddr, backlog): the file descriptor, which the caller owns, or the negative errno. */
static napi_value js_listen(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct sockaddr_storage name = {0};
  uint8_t *bytes;
  size_t n;
  int backlog;
  if (!take_arguments(env, info, "listen", 2, &a) ||
      !take_bytes(&a, 0, sizeof(struct sockaddr_in), sizeof name, &bytes, &n) || !take_int(&a, 1, 0, INT32_MAX, &backlog))
    return NULL;
  memcpy(&name, bytes, n);
  return integer(env, listening(&name, (socklen_t)n, backlog));
}

NAPI_MODULE_INIT() {
  static const struct exported functions[] = {{"listen", js_listen}};
  return EXPORT(env, exports, functions);
}
