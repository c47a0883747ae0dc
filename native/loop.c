/*
 * Loop devices: a file as a block device. loop(4), linux/loop.h. Node-API only; descriptors are Node's own.
 */
#define _GNU_SOURCE
#include "arguments.h"
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

/* free(control): the number of a loop device that nobody uses now, or the negative errno */
static napi_value js_free(napi_env env, napi_callback_info info) {
  struct arguments a;
  int fd;
  if (!take_arguments(env, info, "free", 1, &a) || !take_int(&a, 0, 0, INT32_MAX, &fd)) return NULL;
  return outcome(env, ioctl(fd, LOOP_CTL_GET_FREE));
}

/*
 * configure(device, file, blockSize, readOnly): past the page cache where the file allows it, and undone by the kernel when
 * nobody has the device open any more (autoclear). -EBUSY: another was faster.
 */
static napi_value js_configure(napi_env env, napi_callback_info info) {
  struct arguments a;
  int device, file, block, read_only;
  if (!take_arguments(env, info, "configure", 4, &a) || !take_int(&a, 0, 0, INT32_MAX, &device) ||
      !take_int(&a, 1, 0, INT32_MAX, &file) || !take_int(&a, 2, 512, 65536, &block) || !take_int(&a, 3, 0, 1, &read_only))
    return NULL;
  struct loop_config c = {.fd = (uint32_t)file, .block_size = (uint32_t)block};
  c.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO | (read_only ? LO_FLAGS_READ_ONLY : 0);
  return outcome(env, ioctl(device, LOOP_CONFIGURE, &c));
}

/* clear(device): takes the file away, at once or when the last user has closed the device */
static napi_value js_clear(napi_env env, napi_callback_info info) {
  struct arguments a;
  int fd;
  if (!take_arguments(env, info, "clear", 1, &a) || !take_int(&a, 0, 0, INT32_MAX, &fd)) return NULL;
  return outcome(env, ioctl(fd, LOOP_CLR_FD, 0));
}

/* flusher(): what this thread and its children allocate must not wait for pages that they write out themselves. prctl(2) */
static napi_value js_flusher(napi_env env, napi_callback_info info) {
  struct arguments a;
  if (!take_arguments(env, info, "flusher", 0, &a)) return NULL;
  return outcome(env, prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0));
}

NAPI_MODULE_INIT() {
  static const struct exported functions[] = {
      {"free", js_free}, {"configure", js_configure}, {"clear", js_clear}, {"flusher", js_flusher}};
  return EXPORT(env, exports, functions);
}
