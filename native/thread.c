/*
 * What the kernel keeps for the calling thread: its scheduling, its processors, its network namespace. Node-API only.
 * Conventions: arguments.h.
 */
#define _GNU_SOURCE
#include "arguments.h"
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

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
  if (!take_arguments(env, info, "setAffinity", 1, &a) || !take_bytes(&a, 0, 1, sizeof set, &mask, &n)) return NULL;
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
  if (!take_arguments(env, info, "getAffinity", 1, &a) || !take_bytes(&a, 0, 1, sizeof set, &mask, &n)) return NULL;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) < 0) return outcome(env, -1);
  memset(mask, 0, n);
  for (size_t i = 0; i < n * 8; i++)
    if (CPU_ISSET(i, &set)) mask[i / 8] |= (uint8_t)(1 << (i % 8));
  return integer(env, (int64_t)n);
}

/*
 * enterNetwork(path): moves this thread into the network namespace at `path`. Sockets opened and programs started by
 * this thread from then on are in it; the thread pool is not. Called first thing in a process.
 */
static napi_value js_enter_network(napi_env env, napi_callback_info info) {
  struct arguments a;
  char path[4096];
  if (!take_arguments(env, info, "enterNetwork", 1, &a) || !take_text(&a, 0, 1, path, sizeof path)) return NULL;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return outcome(env, -1);
  int r = setns(fd, CLONE_NEWNET);
  napi_value result = outcome(env, r);
  close(fd);
  return result;
}

NAPI_MODULE_INIT() {
  static const struct exported functions[] = {
      {"setScheduler", js_set_scheduler},
      {"getScheduler", js_get_scheduler},
      {"setNice", js_set_nice},
      {"setAffinity", js_set_affinity},
      {"getAffinity", js_get_affinity},
      {"enterNetwork", js_enter_network},
  };
  return EXPORT(env, exports, functions);
}
