/*
 * Block input and output: an io_uring driven in batches from memory that JavaScript shares, page-aligned memory, what a
 * file or device is like, and the calls on files that Node lacks. Node-API only.
 *
 * One mapping holds descriptors, completions and the slab. JavaScript writes descriptors of eight int32 into it
 * and calls submit(n) once a turn; the same call brings back what is finished. io_uring(7), io_uring_setup(2).
 */
#define _GNU_SOURCE
#include "handles.h"
#include "io-ring.h"
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#ifndef RWF_DSYNC
#define RWF_DSYNC 2
#endif
/* Linux 6.12: discard through the ring. _IO(0x12, 0) */
#define BLOCK_COMMAND_DISCARD 0x1200u

enum {
  MAX_ENTRIES = 4096,
  MAX_SLAB = 1 << 30,
  PAGE = 4096,
  HUGE = 2 << 20,
  DESCRIPTOR_INTS = 8, /* operation, descriptor, slab offset, length low, file offset low, high, tag, length high or mode */
  COMPLETION_INTS = 2, /* tag, result */
  MAX_FILE_OFFSET_HIGH = 0x7fffffff,
  CHUNK = 128 * 1024, /* of the slab: what is locked at once. Requests that reach into two go by plain reads and writes. */
};
enum lock { UNTRIED = 0, LOCKED = 1, REFUSED = 2 };
enum operation { READ = 0, WRITE = 1, WRITE_THROUGH = 2, SYNC = 3, PUNCH = 4, ZERO = 5, DISCARD = 6 };

/* Page-aligned memory, mapped until the last of ring and ArrayBuffer lets go of it. */
struct memory {
  uint8_t *at;
  size_t bytes;
  unsigned owners;
};

struct ring {
  struct handle handle;
  struct memory *memory;
  struct io_ring io;
  int event;
  int32_t *descriptors, *completions;
  uint8_t *slab;
  size_t slab_bytes;
  unsigned entries, room; /* descriptors; completions that one call can bring */
  unsigned in_flight;
  bool can_defer;
  /* Of the slab, by chunk: locked by its first request, so that what nobody uses costs no memory. One that may not be
   * locked is served by plain reads and writes. */
  uint8_t *locks;
  bool plain; /* some request went by one */
};

static const napi_type_tag RING_TAG = {0x3b1c9f6e50d24a17, 0x8d20c7716a9e4f3b};

/* ------------------------------------------------------------------------------------------ memory */

static void release_memory(struct memory *m) {
  if (--m->owners > 0) return;
  munmap(m->at, m->bytes);
  free(m);
}

static void on_memory_collected(napi_env env, void *data, void *hint) {
  (void)env;
  (void)data;
  release_memory(hint);
}

static uint8_t *map_pages(size_t bytes) {
  return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/*
 * What is large lies in huge pages, where the system has them: a request's memory is one piece then. Of 4 KiB pages each is
 * a piece of its own, and a few requests of 128 KiB fill the queue of a disk that takes 256 pieces (virtio), with all else
 * behind them.
 */
static uint8_t *map_huge(size_t bytes) {
  uint8_t *at = map_pages(bytes + HUGE);
  if (at == MAP_FAILED) return at;
  size_t before = (HUGE - (uintptr_t)at % HUGE) % HUGE;
  if (before) munmap(at, before);
  munmap(at + before + bytes, HUGE - before);
  madvise(at + before, bytes, MADV_HUGEPAGE);
  return at + before;
}

static struct memory *map_memory(size_t bytes) {
  struct memory *m = malloc(sizeof *m);
  if (!m) return NULL;
  m->bytes = bytes < HUGE ? bytes : (bytes + HUGE - 1) / HUGE * HUGE;
  m->owners = 1;
  m->at = bytes < HUGE ? map_pages(m->bytes) : map_huge(m->bytes);
  if (m->at == MAP_FAILED) {
    free(m);
    return NULL;
  }
  return m;
}

/* The whole of it as an ArrayBuffer, which owns it too. */
static napi_value expose(napi_env env, struct memory *m) {
  napi_value buffer = NULL;
  m->owners++;
  if (napi_create_external_arraybuffer(env, m->at, m->bytes, on_memory_collected, m, &buffer) == napi_ok) return buffer;
  release_memory(m);
  napi_throw_error(env, "ERR_NO_MEMORY", "the memory could not be shared");
  return NULL;
}

/* pages(bytes): ArrayBuffer that starts at a page */
static napi_value js_pages(napi_env env, napi_callback_info info) {
  struct arguments a;
  int bytes;
  if (!take_arguments(env, info, "pages", 1, &a) || !take_int(&a, 0, 1, MAX_SLAB, &bytes)) return NULL;
  struct memory *m = map_memory(((size_t)bytes + PAGE - 1) / PAGE * PAGE);
  if (!m) return integer(env, -ENOMEM);
  napi_value buffer = expose(env, m);
  release_memory(m);
  return buffer;
}

/* ------------------------------------------------------------------------------------------ the ring */

static void dismantle_ring(struct handle *h) {
  struct ring *r = (struct ring *)h;
  /* What is in flight goes on in pages that the registration keeps. Outside of it the memory stays mapped for ever, as a
   * late read would find whatever is mapped there next. */
  if (r->memory && r->plain && r->in_flight > 0) r->memory->owners++;
  close_io_ring(&r->io);
  if (r->event >= 0) close(r->event);
  if (r->memory) release_memory(r->memory);
  free(r->locks);
  r->locks = NULL;
  r->event = -1;
  r->memory = NULL;
}

static size_t chunks_of(const struct ring *r) { return (r->slab_bytes + CHUNK - 1) / CHUNK; }

/* A table of registered buffers, all of them empty as yet. */
static int make_lock_table(struct ring *r) {
  const size_t chunks = chunks_of(r);
  struct iovec *none = calloc(chunks, sizeof *none);
  r->locks = calloc(chunks, sizeof *r->locks);
  if (!none || !r->locks) {
    free(none);
    return -ENOMEM;
  }
  /* Linux 5.13 */
  if (syscall(__NR_io_uring_register, r->io.fd, IORING_REGISTER_BUFFERS, none, (unsigned)chunks) < 0)
    memset(r->locks, REFUSED, chunks);
  free(none);
  return 0;
}

/* Whether the whole range lies in one chunk, and that is locked. */
static bool is_locked(struct ring *r, uint32_t at, uint32_t length) {
  const uint32_t chunk = at / CHUNK;
  if (at % CHUNK + length > CHUNK) return false;
  if (r->locks[chunk] == UNTRIED) {
    const size_t from = (size_t)chunk * CHUNK, rest = r->slab_bytes - from;
    struct iovec memory = {.iov_base = r->slab + from, .iov_len = rest < CHUNK ? rest : CHUNK};
    struct io_uring_rsrc_update2 u = {.offset = chunk, .data = (uint64_t)(uintptr_t)&memory, .nr = 1};
    long done = syscall(__NR_io_uring_register, r->io.fd, IORING_REGISTER_BUFFERS_UPDATE, &u, sizeof u);
    r->locks[chunk] = done == 1 ? LOCKED : REFUSED;
  }
  return r->locks[chunk] == LOCKED;
}

static int start_ring(struct ring *r) {
  static const unsigned wishes[] = {
      IORING_SETUP_CLAMP | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
      IORING_SETUP_CLAMP | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
      IORING_SETUP_CLAMP,
  };
  int failed = -EINVAL;
  for (size_t i = 0; i < sizeof wishes / sizeof *wishes && failed == -EINVAL; i++) {
    failed = open_io_ring(&r->io, r->entries, wishes[i]);
    r->can_defer = i == 0;
  }
  if (failed) return failed;
  r->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (r->event < 0) return -errno;
  if (syscall(__NR_io_uring_register, r->io.fd, IORING_REGISTER_EVENTFD, &r->event, 1) < 0) return -errno;
  return make_lock_table(r);
}

static size_t to_pages(size_t bytes) { return (bytes + PAGE - 1) / PAGE * PAGE; }

/* ring(entries, slabBytes): a ring, or the negative errno where the system has none */
static napi_value js_ring(napi_env env, napi_callback_info info) {
  struct arguments a;
  int entries, bytes;
  if (!take_arguments(env, info, "ring", 2, &a) || !take_int(&a, 0, 1, MAX_ENTRIES, &entries) ||
      !take_int(&a, 1, 1, MAX_SLAB, &bytes))
    return NULL;
  struct ring *r = calloc(1, sizeof *r);
  if (!r) return integer(env, -ENOMEM);
  r->io.fd = r->event = -1;
  r->handle.dismantle = dismantle_ring;
  r->entries = (unsigned)entries;
  r->room = (unsigned)entries * 2;
  size_t descriptors = to_pages((size_t)entries * DESCRIPTOR_INTS * sizeof(int32_t));
  size_t completions = to_pages((size_t)r->room * COMPLETION_INTS * sizeof(int32_t));
  r->slab_bytes = to_pages((size_t)bytes);
  r->memory = map_memory(descriptors + completions + r->slab_bytes);
  int failed = r->memory ? 0 : -ENOMEM;
  if (!failed) {
    r->descriptors = (int32_t *)r->memory->at;
    r->completions = (int32_t *)(r->memory->at + descriptors);
    r->slab = r->memory->at + descriptors + completions;
    failed = start_ring(r);
  }
  if (failed) {
    dismantle_ring(&r->handle);
    free(r);
    return integer(env, failed);
  }
  return adopt_handle(env, &r->handle, &RING_TAG, r->event);
}

/* memory(ring): one ArrayBuffer of descriptors, completions and slab, each beginning at a page. It outlives the ring. */
static napi_value js_memory(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  if (!take_arguments(env, info, "memory", 1, &a) || !(h = take_open_handle(&a, &RING_TAG))) return NULL;
  return expose(env, ((struct ring *)h)->memory);
}

static int32_t *reap(struct ring *r, int32_t *out, const int32_t *end) {
  unsigned head = *r->io.cq_head;
  unsigned tail = __atomic_load_n(r->io.cq_tail, __ATOMIC_ACQUIRE);
  for (; head != tail && out < end; head++, out += COMPLETION_INTS) {
    const struct io_uring_cqe *c = &r->io.cqes[head & r->io.cq_mask];
    out[0] = (int32_t)(uint32_t)c->user_data;
    out[1] = c->res;
    r->in_flight--;
  }
  __atomic_store_n(r->io.cq_head, head, __ATOMIC_RELEASE);
  return out;
}

static bool more_to_reap(const struct ring *r) {
  return (__atomic_load_n(r->io.sq_flags, __ATOMIC_SEQ_CST) & IORING_SQ_TASKRUN) ||
         *r->io.cq_head != __atomic_load_n(r->io.cq_tail, __ATOMIC_ACQUIRE);
}

static bool prepare(struct ring *r, const int32_t *d, struct io_uring_sqe *s) {
  const uint32_t at = (uint32_t)d[2], low = (uint32_t)d[3], high = (uint32_t)d[7];
  const uint64_t offset = (uint64_t)(uint32_t)d[5] << 32 | (uint32_t)d[4];
  const uint64_t length = (uint64_t)high << 32 | low;
  if (d[1] < 0 || (uint32_t)d[5] > MAX_FILE_OFFSET_HIGH || high > MAX_FILE_OFFSET_HIGH) return false;
  memset(s, 0, sizeof *s);
  s->fd = d[1];
  s->off = offset;
  s->user_data = (uint32_t)d[6];
  switch (d[0]) {
    case READ:
    case WRITE:
    case WRITE_THROUGH:
      if (high != 0 || at > r->slab_bytes || low > r->slab_bytes - at || low == 0) return false;
      if (is_locked(r, at, low)) {
        s->opcode = d[0] == READ ? IORING_OP_READ_FIXED : IORING_OP_WRITE_FIXED;
        s->buf_index = (uint16_t)(at / CHUNK);
      } else {
        s->opcode = d[0] == READ ? IORING_OP_READ : IORING_OP_WRITE;
        r->plain = true;
      }
      s->addr = (uint64_t)(uintptr_t)(r->slab + at);
      s->len = low;
      s->rw_flags = d[0] == WRITE_THROUGH ? RWF_DSYNC : 0;
      return true;
    case SYNC:
      s->opcode = IORING_OP_FSYNC;
      s->off = 0;
      s->fsync_flags = IORING_FSYNC_DATASYNC;
      return true;
    case PUNCH:
    case ZERO:
      if (length == 0) return false;
      s->opcode = IORING_OP_FALLOCATE;
      s->addr = length;
      s->len = FALLOC_FL_KEEP_SIZE | (d[0] == PUNCH ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
      return true;
    case DISCARD:
      if (length == 0) return false;
      s->opcode = IORING_OP_URING_CMD;
      s->off = BLOCK_COMMAND_DISCARD; /* cmd_op */
      s->addr = offset;
      s->addr3 = length;
      return true;
    default:
      return false;
  }
}

/* Does the submitting. Wakes are off meanwhile: what is finished at once is reaped here, and needs none. */
static int32_t *run(struct ring *r, unsigned submit, int32_t *out, const int32_t *end) {
  if (r->io.cq_flags) __atomic_store_n(r->io.cq_flags, IORING_CQ_EVENTFD_DISABLED, __ATOMIC_SEQ_CST);
  unsigned tail = *r->io.sq_tail + submit, idle = 0;
  r->in_flight += submit;
  __atomic_store_n(r->io.sq_tail, tail, __ATOMIC_RELEASE);
  for (;;) {
    unsigned waiting = tail - __atomic_load_n(r->io.sq_head, __ATOMIC_ACQUIRE);
    int n = enter_io_ring(&r->io, waiting, 0);
    int failed = n < 0 ? errno : 0;
    int32_t *before = out;
    out = reap(r, out, end);
    unsigned left = tail - __atomic_load_n(r->io.sq_head, __ATOMIC_ACQUIRE);
    idle = left == waiting && out == before ? idle + 1 : 0;
    if (left > 0 && idle < 8 && (!failed || failed == EAGAIN || failed == EBUSY || failed == EINTR) && out < end) continue;
    /* The kernel has no room for these: they fail one by one, and nothing is submitted late. */
    for (unsigned i = tail - left; i != tail && out < end; i++, out += COMPLETION_INTS) {
      out[0] = (int32_t)(uint32_t)r->io.sqes[i & r->io.sq_mask].user_data;
      out[1] = -(failed ? failed : EAGAIN);
    }
    if (left > 0) __atomic_store_n(r->io.sq_tail, tail - left, __ATOMIC_RELEASE);
    r->in_flight -= left;
    break;
  }
  if (r->io.cq_flags) __atomic_store_n(r->io.cq_flags, 0, __ATOMIC_SEQ_CST);
  /* What came while wakes were off. */
  while (out < end && more_to_reap(r)) {
    int32_t *before = out;
    enter_io_ring(&r->io, 0, 0);
    out = reap(r, out, end);
    if (out == before) break;
  }
  return out;
}

/* submit(ring, n): hands over the first n descriptors, and brings as many completions as it returns */
static napi_value js_submit(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  int n;
  if (!take_arguments(env, info, "submit", 2, &a) || !(h = take_open_handle(&a, &RING_TAG))) return NULL;
  struct ring *r = (struct ring *)h;
  if (!take_int(&a, 1, 0, (int)r->entries, &n)) return NULL;
  unsigned tail = *r->io.sq_tail;
  for (int i = 0; i < n; i++)
    if (!prepare(r, r->descriptors + i * DESCRIPTOR_INTS, &r->io.sqes[(tail + (unsigned)i) & r->io.sq_mask])) {
      char message[80];
      snprintf(message, sizeof message, "submit: descriptor %d is out of range", i);
      napi_throw_range_error(env, "ERR_OUT_OF_RANGE", message);
      return NULL;
    }
  const int32_t *end = r->completions + (size_t)r->room * COMPLETION_INTS;
  int32_t *last = run(r, (unsigned)n, r->completions, end);
  return integer(env, (last - r->completions) / COMPLETION_INTS);
}

static void on_event(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  struct ring *r = uv_handle_get_data((uv_handle_t *)poll);
  uint64_t count;
  if (read(r->event, &count, sizeof count) < 0) return; /* a stale wake */
  const int32_t *end = r->completions + (size_t)r->room * COMPLETION_INTS;
  int32_t *last = run(r, 0, r->completions, end);
  /* What found no room wakes again. */
  if (last == end) {
    count = 1;
    if (write(r->event, &count, sizeof count) < 0) return;
  }
  if (last > r->completions) call_back(&r->handle, (last - r->completions) / COMPLETION_INTS);
}

/* watch(ring, callback): callback(n) whenever n completions were brought */
static napi_value js_watch(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  if (!take_arguments(env, info, "watch", 2, &a) || !(h = take_open_handle(&a, &RING_TAG)) || !take_function(&a, 1))
    return NULL;
  return integer(env, watch_handle(h, a.value[0], UV_READABLE, a.value[1], on_event));
}

/* close(ring). Again is harmless. What is in flight may still reach the disk; nothing is told of it. */
static napi_value js_close(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  if (!take_arguments(env, info, "close", 1, &a) || !(h = take_handle(&a, &RING_TAG))) return NULL;
  close_handle(h);
  return undefined(env);
}

/* deferred(ring): whether the kernel offered SINGLE_ISSUER and DEFER_TASKRUN; locked(ring): bytes of the slab */
static napi_value js_deferred(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  napi_value v = NULL;
  if (!take_arguments(env, info, "deferred", 1, &a) || !(h = take_open_handle(&a, &RING_TAG))) return NULL;
  napi_get_boolean(env, ((struct ring *)h)->can_defer, &v);
  return v;
}

static napi_value js_locked(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct handle *h;
  if (!take_arguments(env, info, "locked", 1, &a) || !(h = take_open_handle(&a, &RING_TAG))) return NULL;
  const struct ring *r = (struct ring *)h;
  size_t chunks = 0;
  for (size_t i = 0; i < chunks_of(r); i++) chunks += r->locks[i] == LOCKED;
  return integer(env, (int64_t)(chunks * CHUNK));
}

/* ------------------------------------------------------------------------------------------ files */

/*
 * geometry(fd, out): fills eight doubles: 1 for a block device, size, logical and physical block, read-only,
 * rotational, optimal size or 0, device number
 */
static napi_value js_geometry(napi_env env, napi_callback_info info) {
  struct arguments a;
  int fd;
  bool is = false;
  napi_typedarray_type type = napi_int8_array;
  size_t n = 0;
  void *at = NULL;
  if (!take_arguments(env, info, "geometry", 2, &a) || !take_int(&a, 0, 0, INT32_MAX, &fd)) return NULL;
  if (napi_is_typedarray(env, a.value[1], &is) == napi_ok && is)
    napi_get_typedarray_info(env, a.value[1], &type, &n, &at, NULL, NULL);
  if (type != napi_float64_array || n != 8) {
    type_error(&a, "ERR_INVALID_ARG_TYPE", "a Float64Array of 8 was expected");
    return NULL;
  }
  struct stat st;
  if (fstat(fd, &st) < 0) return outcome(env, -1);
  double *out = at;
  memset(out, 0, 8 * sizeof *out);
  out[1] = (double)st.st_size;
  out[2] = 512;
  out[3] = (double)st.st_blksize;
  out[7] = (double)st.st_rdev;
  if (S_ISREG(st.st_mode)) return integer(env, 0);
  if (!S_ISBLK(st.st_mode)) return integer(env, -ENOTBLK);
  uint64_t size = 0;
  int logical = 512, read_only = 0;
  unsigned physical = 512, optimal = 0;
  unsigned short rotational = 0;
  if (ioctl(fd, BLKGETSIZE64, &size) < 0 || ioctl(fd, BLKSSZGET, &logical) < 0) return outcome(env, -1);
  ioctl(fd, BLKPBSZGET, &physical);
  ioctl(fd, BLKIOOPT, &optimal);
  ioctl(fd, BLKROGET, &read_only);
  ioctl(fd, BLKROTATIONAL, &rotational);
  out[0] = 1;
  out[1] = (double)size;
  out[2] = logical;
  out[3] = physical;
  out[4] = read_only;
  out[5] = rotational;
  out[6] = optimal;
  return integer(env, 0);
}

/* seek(fd, offset, hole): where data (or, with 1, the next hole) begins at or behind `offset`; -ENXIO past the end */
static napi_value js_seek(napi_env env, napi_callback_info info) {
  struct arguments a;
  int fd, hole;
  double offset;
  if (!take_arguments(env, info, "seek", 3, &a) || !take_int(&a, 0, 0, INT32_MAX, &fd) ||
      !take_number(&a, 1, 0, 9007199254740991.0, &offset) || !take_int(&a, 2, 0, 1, &hole))
    return NULL;
  return outcome(env, lseek(fd, (off_t)offset, hole ? SEEK_HOLE : SEEK_DATA));
}

struct allocation {
  int fd, operation, result;
  uint64_t offset, length;
  napi_async_work work;
  napi_ref callback;
};

static void allocate(napi_env env, void *data) {
  (void)env;
  struct allocation *w = data;
  int r;
  if (w->operation == DISCARD) {
    uint64_t range[2] = {w->offset, w->length};
    r = ioctl(w->fd, BLKDISCARD, range);
  } else {
    int mode = FALLOC_FL_KEEP_SIZE | (w->operation == PUNCH ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
    r = fallocate(w->fd, mode, (off_t)w->offset, (off_t)w->length);
  }
  w->result = r < 0 ? -errno : 0;
}

static void allocated(napi_env env, napi_status status, void *data) {
  struct allocation *w = data;
  napi_value callback, global, result, value = integer(env, status == napi_ok ? w->result : -ECANCELED);
  if (napi_get_reference_value(env, w->callback, &callback) == napi_ok && napi_get_global(env, &global) == napi_ok &&
      napi_call_function(env, global, callback, 1, &value, &result) == napi_pending_exception) {
    napi_value error;
    if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
  }
  drop_reference(env, &w->callback);
  napi_delete_async_work(env, w->work);
  free(w);
}

/* allocate(fd, operation, offset, length, callback): PUNCH, ZERO or DISCARD on a thread of the pool; callback(result) */
static napi_value js_allocate(napi_env env, napi_callback_info info) {
  struct arguments a;
  int fd, operation;
  double offset, length;
  if (!take_arguments(env, info, "allocate", 5, &a) || !take_int(&a, 0, 0, INT32_MAX, &fd) ||
      !take_int(&a, 1, PUNCH, DISCARD, &operation) || !take_number(&a, 2, 0, 9007199254740991.0, &offset) ||
      !take_number(&a, 3, 1, 9007199254740991.0, &length) || !take_function(&a, 4))
    return NULL;
  struct allocation *w = calloc(1, sizeof *w);
  if (!w) return integer(env, -ENOMEM);
  *w = (struct allocation){.fd = fd, .operation = operation, .offset = (uint64_t)offset, .length = (uint64_t)length};
  napi_value name;
  napi_create_string_utf8(env, "holdfast.allocate", NAPI_AUTO_LENGTH, &name);
  if (napi_create_reference(env, a.value[4], 1, &w->callback) != napi_ok ||
      napi_create_async_work(env, NULL, name, allocate, allocated, w, &w->work) != napi_ok ||
      napi_queue_async_work(env, w->work) != napi_ok) {
    drop_reference(env, &w->callback);
    if (w->work) napi_delete_async_work(env, w->work);
    free(w);
    return integer(env, -ENOMEM);
  }
  return integer(env, 0);
}

NAPI_MODULE_INIT() {
  static const struct exported functions[] = {
      {"pages", js_pages},       {"ring", js_ring},         {"memory", js_memory}, {"submit", js_submit},
      {"watch", js_watch},       {"close", js_close},       {"deferred", js_deferred},
      {"locked", js_locked},
      {"geometry", js_geometry}, {"seek", js_seek},         {"allocate", js_allocate},
  };
  return export_addon(env, exports, functions, sizeof functions / sizeof *functions);
}
