/*
 * A listening TCP socket on an address that this host may not have yet (IP_FREEBIND): Node binds only to what is there,
 * and a standby listens before the address comes. Node-API only; the file descriptor is handed to node:net.
 */
#include <errno.h>
#include <netinet/in.h>
#include <node_api.h>
#include <string.h>
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

static napi_value misuse(napi_env env, const char *code, const char *words) {
  napi_throw_type_error(env, code, words);
  return NULL;
}

/* listen(sockaddr, backlog): the file descriptor, which the caller owns, or the negative errno. */
static napi_value js_listen(napi_env env, napi_callback_info info) {
  size_t count = 2, length = 0;
  napi_value argument[2], result;
  napi_typedarray_type type = napi_int8_array;
  void *data = NULL;
  bool is = false;
  int32_t backlog;
  if (napi_get_cb_info(env, info, &count, argument, NULL, NULL) != napi_ok) return NULL;
  if (count < 2) return misuse(env, "ERR_MISSING_ARGS", "listen(sockaddr, backlog)");
  napi_is_typedarray(env, argument[0], &is);
  if (is) napi_get_typedarray_info(env, argument[0], &type, &length, &data, NULL, NULL);
  if (!is || type != napi_uint8_array) return misuse(env, "ERR_INVALID_ARG_TYPE", "the address is a Uint8Array");
  struct sockaddr_storage name;
  if (length < sizeof(struct sockaddr_in) || length > sizeof name)
    return misuse(env, "ERR_OUT_OF_RANGE", "the address is a sockaddr_in or sockaddr_in6");
  if (napi_get_value_int32(env, argument[1], &backlog) != napi_ok)
    return misuse(env, "ERR_INVALID_ARG_TYPE", "the backlog is a number");
  memset(&name, 0, sizeof name);
  memcpy(&name, data, length);
  napi_create_int32(env, listening(&name, (socklen_t)length, backlog), &result);
  return result;
}

NAPI_MODULE_INIT() {
  napi_value f;
  if (napi_create_function(env, "listen", NAPI_AUTO_LENGTH, js_listen, NULL, &f) == napi_ok)
    napi_set_named_property(env, exports, "listen", f);
  return exports;
}
