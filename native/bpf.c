/*
 * bpf(2) for Node: maps, programs, links, pins and test runs, Node-API only. What lies in maps and objects crosses as
 * bytes; the ELF file is parsed in TypeScript.
 *
 * Conventions: arguments.h. The kernel copies as many bytes as a map's key and value have,
 * whatever the caller's buffer holds: so a map is an opaque handle that knows these sizes, and every buffer is measured
 * against them. Handles that nobody holds any more are closed by garbage collection, all at the end of the environment.
 */
#define _GNU_SOURCE
#include "arguments.h"
#include <linux/bpf.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

/* This file compiles with headers of Linux 5.10; what is newer is named here. */
enum { LINK_INFO_BYTES = 128, MAX_KEY = 512, MAX_VALUE = 1 << 20 };

enum kind { MAP = 1, PROGRAM = 2, LINK = 4 };
struct object {
  enum kind kind;
  int fd; /* -1 once closed */
  uint32_t type, key, value; /* maps; `value` as user space sees it: of per-CPU maps all processors' */
};

static const napi_type_tag TAG = {0x52a1c6d90b7e4f13, 0x8ce30f6ad1b8427f};

static long bpf(int command, union bpf_attr *a) { return syscall(SYS_bpf, command, a, sizeof *a); }
static uint64_t pointer(const void *p) { return (uint64_t)(uintptr_t)p; }

static struct object *take_object(const struct arguments *a, int i, int kinds, bool open) {
  struct object *o = tagged(a, i, &TAG);
  if (!o || !(o->kind & kinds)) {
    type_error(a, "ERR_INVALID_ARG_TYPE", kinds == MAP ? "a map was expected" : kinds == PROGRAM ? "a program was expected"
                                          : kinds == LINK ? "a link was expected" : "a handle was expected");
    return NULL;
  }
  if (open && o->fd < 0) {
    type_error(a, "ERR_HANDLE_CLOSED", "the handle is closed");
    return NULL;
  }
  return o;
}

/* ------------------------------------------------------------------------------------------ handles */

static void close_object(struct object *o) {
  if (o->fd >= 0) close(o->fd);
  o->fd = -1;
}
static void on_collected(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  close_object(data);
  free(data);
}

/* /sys/devices/system/cpu/possible, `0-7` or `0,2-3`: the highest and one more, as the kernel counts per-CPU values. 0: unknown. */
static uint32_t possible_processors(void) {
  static uint32_t known;
  if (known) return known;
  FILE *f = fopen("/sys/devices/system/cpu/possible", "re");
  if (!f) return 0;
  unsigned low, high, most = 0;
  bool some = false;
  while (fscanf(f, "%u", &low) == 1) {
    high = low;
    int c = fgetc(f);
    if (c == '-') {
      if (fscanf(f, "%u", &high) != 1) break;
      c = fgetc(f);
    }
    if (high > most) most = high;
    some = true;
    if (c != ',') break;
  }
  fclose(f);
  return known = some ? most + 1 : 0;
}

static bool per_processor(uint32_t type) {
  return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}
/* Map types whose keys and values are plain bytes of the sizes that the map was made with. */
static bool plain(uint32_t type) {
  return type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_LRU_HASH ||
         type == BPF_MAP_TYPE_LPM_TRIE || per_processor(type);
}

/* Takes `fd` over, also where it fails. */
static napi_value new_object(napi_env env, enum kind kind, int fd) {
  struct object *o = calloc(1, sizeof *o);
  napi_value v = NULL;
  if (o && kind == MAP) {
    struct bpf_map_info info = {0};
    union bpf_attr a = {.info = {.bpf_fd = (uint32_t)fd, .info_len = sizeof info, .info = pointer(&info)}};
    long r = bpf(BPF_OBJ_GET_INFO_BY_FD, &a);
    if (r < 0 || !plain(info.type) || info.key_size > MAX_KEY || info.value_size > MAX_VALUE ||
        (per_processor(info.type) && !possible_processors())) {
      int failed = r < 0 ? errno : EOPNOTSUPP;
      close(fd);
      free(o);
      return number(env, -failed);
    }
    o->type = info.type;
    o->key = info.key_size;
    o->value = per_processor(info.type) ? ((info.value_size + 7) & ~7u) * possible_processors() : info.value_size;
  }
  if (!o || napi_create_object(env, &v) != napi_ok || napi_type_tag_object(env, v, &TAG) != napi_ok ||
      napi_wrap(env, v, o, on_collected, NULL, NULL) != napi_ok) {
    free(o);
    close(fd);
    napi_throw_error(env, "ERR_NO_MEMORY", "a handle could not be made");
    return NULL;
  }
  o->kind = kind;
  o->fd = fd;
  return v;
}
static napi_value object_or_error(napi_env env, enum kind kind, long fd) {
  return fd < 0 ? outcome(env, fd) : new_object(env, kind, (int)fd);
}

/* close(handle). Again is harmless. */
static napi_value js_close(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct object *o;
  if (!take_arguments(env, info, "close", 1, &a) || !(o = take_object(&a, 0, MAP | PROGRAM | LINK, false))) return NULL;
  close_object(o);
  return NULL;
}

/* descriptor(map): what instructions name it by */
static napi_value js_descriptor(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct object *o;
  if (!take_arguments(env, info, "descriptor", 1, &a) || !(o = take_object(&a, 0, MAP, true))) return NULL;
  return number(env, o->fd);
}

/* pin(handle, path) */
static napi_value js_pin(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct object *o;
  char path[4096];
  if (!take_arguments(env, info, "pin", 2, &a) || !(o = take_object(&a, 0, MAP | PROGRAM | LINK, true)) ||
      !take_text(&a, 1, 1, path, sizeof path))
    return NULL;
  union bpf_attr attr = {.pathname = pointer(path), .bpf_fd = (uint32_t)o->fd};
  return outcome(env, bpf(BPF_OBJ_PIN, &attr));
}

/* open(path, kind): handle of what is pinned there; -EINVAL where it is another kind */
static napi_value js_open(napi_env env, napi_callback_info info) {
  struct arguments a;
  char path[4096], link[64], target[64] = {0};
  uint32_t kind;
  if (!take_arguments(env, info, "open", 2, &a) || !take_text(&a, 0, 1, path, sizeof path) ||
      !take_u32(&a, 1, MAP, LINK, &kind))
    return NULL;
  if (kind != MAP && kind != PROGRAM && kind != LINK) {
    range_error(&a, 1, "is no kind");
    return NULL;
  }
  union bpf_attr attr = {.pathname = pointer(path)};
  long fd = bpf(BPF_OBJ_GET, &attr);
  if (fd < 0) return outcome(env, fd);
  snprintf(link, sizeof link, "/proc/self/fd/%ld", fd);
  ssize_t n = readlink(link, target, sizeof target - 1);
  for (char *c = target; *c; c++)
    if (*c == '_') *c = '-'; /* the kernel writes bpf_link where the link was made and bpf-link where it was found */
  const char *want = kind == MAP ? "anon-inode:bpf-map" : kind == PROGRAM ? "anon-inode:bpf-prog" : "anon-inode:bpf-link";
  if (n < 0 || strcmp(target, want) != 0) {
    close((int)fd);
    return number(env, -EINVAL);
  }
  return new_object(env, (enum kind)kind, (int)fd);
}

/* info(handle, room): bytes filled with struct bpf_map_info, bpf_prog_info or bpf_link_info */
static napi_value js_info(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct object *o;
  uint8_t *room, all[LINK_INFO_BYTES + 512] = {0}; /* no pointers in it: the kernel follows none */
  size_t n;
  if (!take_arguments(env, info, "info", 2, &a) || !(o = take_object(&a, 0, MAP | PROGRAM | LINK, true)) ||
      !take_bytes(&a, 1, 4, sizeof all, &room, &n))
    return NULL;
  union bpf_attr attr = {.info = {.bpf_fd = (uint32_t)o->fd, .info_len = (uint32_t)n, .info = pointer(all)}};
  long r = bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
  if (r < 0) return outcome(env, r);
  memcpy(room, all, n);
  return number(env, attr.info.info_len < n ? attr.info.info_len : n);
}

/* ------------------------------------------------------------------------------------------ maps */

/* createMap(type, keyBytes, valueBytes, entries, flags, name) */
static napi_value js_create_map(napi_env env, napi_callback_info info) {
  struct arguments a;
  uint32_t type, key, value, entries, flags;
  char name[BPF_OBJ_NAME_LEN];
  if (!take_arguments(env, info, "createMap", 6, &a) || !take_u32(&a, 0, 1, 63, &type) ||
      !take_u32(&a, 1, 1, MAX_KEY, &key) || !take_u32(&a, 2, 1, MAX_VALUE, &value) ||
      !take_u32(&a, 3, 1, 1 << 30, &entries) || !take_u32(&a, 4, 0, UINT32_MAX, &flags) ||
      !take_text(&a, 5, 0, name, sizeof name))
    return NULL;
  if (!plain(type)) {
    range_error(&a, 0, "is no type of map whose values are plain bytes");
    return NULL;
  }
  union bpf_attr attr = {.map_type = type, .key_size = key, .value_size = value, .max_entries = entries, .map_flags = flags};
  memcpy(attr.map_name, name, strlen(name));
  return object_or_error(env, MAP, bpf(BPF_MAP_CREATE, &attr));
}

/* lookup(map, key, room), update(map, key, value, flags), remove(map, key), each 0 */
static napi_value js_lookup(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct object *o;
  uint8_t *key, *value;
  size_t n;
  if (!take_arguments(env, info, "lookup", 3, &a) || !(o = take_object(&a, 0, MAP, true)) ||
      !take_bytes(&a, 1, o->key, o->key, &key, &n) || !take_bytes(&a, 2, o->value, o->value, &value, &n))
    return NULL;
  union bpf_attr attr = {.map_fd = (uint32_t)o->fd, .key = pointer(key), .value = pointer(value)};
  return outcome(env, bpf(BPF_MAP_LOOKUP_ELEM, &attr));
}
static napi_value js_update(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct object *o;
  uint8_t *key, *value;
  uint32_t flags;
  size_t n;
  if (!take_arguments(env, info, "update", 4, &a) || !(o = take_object(&a, 0, MAP, true)) ||
      !take_bytes(&a, 1, o->key, o->key, &key, &n) || !take_bytes(&a, 2, o->value, o->value, &value, &n) ||
      !take_u32(&a, 3, 0, BPF_EXIST, &flags))
    return NULL;
  union bpf_attr attr = {.map_fd = (uint32_t)o->fd, .key = pointer(key), .value = pointer(value), .flags = flags};
  return outcome(env, bpf(BPF_MAP_UPDATE_ELEM, &attr));
}
static napi_value js_remove(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct object *o;
  uint8_t *key;
  size_t n;
  if (!take_arguments(env, info, "remove", 2, &a) || !(o = take_object(&a, 0, MAP, true)) ||
      !take_bytes(&a, 1, o->key, o->key, &key, &n))
    return NULL;
  union bpf_attr attr = {.map_fd = (uint32_t)o->fd, .key = pointer(key)};
  return outcome(env, bpf(BPF_MAP_DELETE_ELEM, &attr));
}

/* nextKey(map, key or undefined, room): 0; -ENOENT behind the last. `room` may be `key`. */
static napi_value js_next_key(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct object *o;
  uint8_t *key = NULL, *room, next[MAX_KEY];
  size_t n;
  if (!take_arguments(env, info, "nextKey", 3, &a) || !(o = take_object(&a, 0, MAP, true)) ||
      (!is_undefined(&a, 1) && !take_bytes(&a, 1, o->key, o->key, &key, &n)) ||
      !take_bytes(&a, 2, o->key, o->key, &room, &n))
    return NULL;
  union bpf_attr attr = {.map_fd = (uint32_t)o->fd, .key = pointer(key), .next_key = pointer(next)};
  long r = bpf(BPF_MAP_GET_NEXT_KEY, &attr);
  if (r < 0) return outcome(env, r);
  memcpy(room, next, o->key);
  return number(env, 0);
}

static bool take_batch(const struct arguments *a, int i, struct object *o, uint32_t count, uint8_t **keys, uint8_t **values) {
  size_t n, k = (size_t)o->key * count, v = (size_t)o->value * count;
  return take_bytes(a, i, k, k, keys, &n) && take_bytes(a, i + 1, v, v, values, &n);
}

/* updateBatch(map, keys, values, count): count, all of them, or the negative errno of the first that failed */
static napi_value js_update_batch(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct object *o;
  uint32_t count;
  uint8_t *keys, *values;
  if (!take_arguments(env, info, "updateBatch", 4, &a) || !(o = take_object(&a, 0, MAP, true)) ||
      !take_u32(&a, 3, 1, 1 << 24, &count) || !take_batch(&a, 1, o, count, &keys, &values))
    return NULL;
  union bpf_attr attr = {.batch = {.keys = pointer(keys), .values = pointer(values), .count = count, .map_fd = (uint32_t)o->fd}};
  long r = bpf(BPF_MAP_UPDATE_BATCH, &attr);
  return r < 0 ? outcome(env, r) : number(env, attr.batch.count);
}

/*
 * readBatch(map, cursor, keys, values, count, first): twice the number of entries read, plus one at the end of the map.
 * `cursor` is carried from call to call; with `first` = 1 the reading begins.
 */
static napi_value js_read_batch(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct object *o;
  uint32_t count, first;
  uint8_t *cursor, *keys, *values, in[MAX_KEY + 8], out[MAX_KEY + 8] = {0};
  size_t n;
  if (!take_arguments(env, info, "readBatch", 6, &a) || !(o = take_object(&a, 0, MAP, true)) ||
      !take_bytes(&a, 1, o->key + 4, o->key + 4, &cursor, &n) || !take_u32(&a, 4, 1, 1 << 24, &count) ||
      !take_batch(&a, 2, o, count, &keys, &values) || !take_u32(&a, 5, 0, 1, &first))
    return NULL;
  memcpy(in, cursor, n);
  union bpf_attr attr = {.batch = {.in_batch = first ? 0 : pointer(in), .out_batch = pointer(out), .keys = pointer(keys),
                                   .values = pointer(values), .count = count, .map_fd = (uint32_t)o->fd}};
  long r = bpf(BPF_MAP_LOOKUP_BATCH, &attr);
  if (r < 0 && errno != ENOENT) return outcome(env, r);
  memcpy(cursor, out, n);
  return number(env, attr.batch.count * 2.0 + (r < 0));
}

/* ------------------------------------------------------------------------------------------ programs, links */

/* loadProgram(type, attachType, name, instructions, license, log): program. `log` gets the verifier's words where it refuses. */
static napi_value js_load_program(napi_env env, napi_callback_info info) {
  struct arguments a;
  uint32_t type, attach;
  char name[BPF_OBJ_NAME_LEN], license[64];
  uint8_t *instructions, *log;
  size_t n, room;
  if (!take_arguments(env, info, "loadProgram", 6, &a) || !take_u32(&a, 0, 1, 63, &type) ||
      !take_u32(&a, 1, 0, 127, &attach) || !take_text(&a, 2, 0, name, sizeof name) ||
      !take_bytes(&a, 3, 8, 8 << 20, &instructions, &n) || !take_text(&a, 4, 1, license, sizeof license) ||
      !take_bytes(&a, 5, 0, 64 << 20, &log, &room))
    return NULL;
  if (n % 8 || (room > 0 && room < 128)) {
    range_error(&a, n % 8 ? 3 : 5, "has a wrong number of bytes");
    return NULL;
  }
  union bpf_attr attr = {.prog_type = type, .insn_cnt = (uint32_t)(n / 8), .insns = pointer(instructions),
                         .license = pointer(license), .expected_attach_type = attach};
  memcpy(attr.prog_name, name, strlen(name));
  /* The verifier gives up with EAGAIN where a signal is pending, as a profiler's always is: they wait. */
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  long fd = bpf(BPF_PROG_LOAD, &attr);
  if (fd < 0 && room > 0 && (errno == EACCES || errno == EINVAL || errno == EPERM || errno == E2BIG)) {
    attr.log_level = 1;
    attr.log_size = (uint32_t)room;
    attr.log_buf = pointer(log);
    fd = bpf(BPF_PROG_LOAD, &attr);
  }
  int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = error;
  return object_or_error(env, PROGRAM, fd);
}

/* createLink(program, ifindex, attachType, flags): link */
static napi_value js_create_link(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct object *o;
  uint32_t ifindex, attach, flags;
  if (!take_arguments(env, info, "createLink", 4, &a) || !(o = take_object(&a, 0, PROGRAM, true)) ||
      !take_u32(&a, 1, 1, INT32_MAX, &ifindex) || !take_u32(&a, 2, 0, 127, &attach) ||
      !take_u32(&a, 3, 0, UINT32_MAX, &flags))
    return NULL;
  union bpf_attr attr = {.link_create = {.prog_fd = (uint32_t)o->fd, .target_ifindex = ifindex, .attach_type = attach, .flags = flags}};
  return object_or_error(env, LINK, bpf(BPF_LINK_CREATE, &attr));
}

/* updateLink(link, program): 0. Packets see the old program or the new one, never none. */
static napi_value js_update_link(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct object *link, *program;
  if (!take_arguments(env, info, "updateLink", 2, &a) || !(link = take_object(&a, 0, LINK, true)) ||
      !(program = take_object(&a, 1, PROGRAM, true)))
    return NULL;
  union bpf_attr attr = {.link_update = {.link_fd = (uint32_t)link->fd, .new_prog_fd = (uint32_t)program->fd}};
  return outcome(env, bpf(BPF_LINK_UPDATE, &attr));
}

/* programDescriptor(program): what a tc filter names it by */
static napi_value js_program_descriptor(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct object *o;
  if (!take_arguments(env, info, "programDescriptor", 1, &a) || !(o = take_object(&a, 0, PROGRAM, true))) return NULL;
  return number(env, o->fd);
}

/*
 * testRun(program, packet, room, repeat, flags, context, result): 0. `room` gets the packet as the program left it, and
 * may be empty; `context` is a struct xdp_md or __sk_buff, or empty; `result` gets four u32: return value, bytes in
 * `room`, nanoseconds for one run, 0.
 */
static napi_value js_test_run(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct object *o;
  uint8_t *packet, *room, *context, *result;
  uint32_t repeat, flags;
  size_t n, m, c, r;
  if (!take_arguments(env, info, "testRun", 7, &a) || !(o = take_object(&a, 0, PROGRAM, true)) ||
      !take_bytes(&a, 1, 1, 1 << 20, &packet, &n) || !take_bytes(&a, 2, 0, 1 << 20, &room, &m) ||
      !take_u32(&a, 3, 0, INT32_MAX, &repeat) || !take_u32(&a, 4, 0, UINT32_MAX, &flags) ||
      !take_bytes(&a, 5, 0, 1024, &context, &c) || !take_bytes(&a, 6, 16, 16, &result, &r))
    return NULL;
  union bpf_attr attr = {0};
  attr.test.prog_fd = (uint32_t)o->fd;
  attr.test.data_size_in = (uint32_t)n;
  attr.test.data_in = pointer(packet);
  attr.test.data_size_out = (uint32_t)m;
  attr.test.data_out = m ? pointer(room) : 0;
  attr.test.repeat = repeat;
  attr.test.flags = flags;
  attr.test.ctx_size_in = (uint32_t)c;
  attr.test.ctx_in = c ? pointer(context) : 0;
  long done = bpf(BPF_PROG_TEST_RUN, &attr);
  if (done < 0) return outcome(env, done);
  uint32_t out[4] = {attr.test.retval, attr.test.data_size_out, attr.test.duration, 0};
  memcpy(result, out, sizeof out);
  return number(env, 0);
}

/* mountBpf(path): mounts a BPF file system there */
static napi_value js_mount(napi_env env, napi_callback_info info) {
  struct arguments a;
  char path[4096];
  if (!take_arguments(env, info, "mountBpf", 1, &a) || !take_text(&a, 0, 1, path, sizeof path)) return NULL;
  return outcome(env, mount("bpf", path, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700"));
}

/* possibleProcessors(): how many values an entry of a per-CPU map has; 0 where the system does not say */
static napi_value js_possible(napi_env env, napi_callback_info info) {
  struct arguments a;
  if (!take_arguments(env, info, "possibleProcessors", 0, &a)) return NULL;
  return number(env, possible_processors());
}

NAPI_MODULE_INIT() {
  static const struct exported functions[] = {
      {"close", js_close},
      {"descriptor", js_descriptor},
      {"pin", js_pin},
      {"open", js_open},
      {"info", js_info},
      {"createMap", js_create_map},
      {"lookup", js_lookup},
      {"update", js_update},
      {"remove", js_remove},
      {"nextKey", js_next_key},
      {"updateBatch", js_update_batch},
      {"readBatch", js_read_batch},
      {"loadProgram", js_load_program},
      {"createLink", js_create_link},
      {"updateLink", js_update_link},
      {"programDescriptor", js_program_descriptor},
      {"testRun", js_test_run},
      {"mountBpf", js_mount},
      {"possibleProcessors", js_possible},
  };
  return EXPORT(env, exports, functions);
}
