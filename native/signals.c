/*
 * Real-time signals on the event loop: Node knows only those with names, and keepalived's JSON dump and reset of
 * counters are asked for by numbers 36 and 63. Node-API only.
 */
#include "arguments.h"
#include <stdlib.h>

/* libuv's part of the ABI that is used, declared by hand as in handles.h. */
typedef struct uv_loop_s uv_loop_t;
typedef struct uv_signal_s uv_signal_t;
typedef struct uv_handle_s uv_handle_t;
enum { UV_SIGNAL = 16 };
size_t uv_handle_size(int type);
void uv_handle_set_data(uv_handle_t *, void *);
void *uv_handle_get_data(const uv_handle_t *);
int uv_signal_init(uv_loop_t *, uv_signal_t *);
int uv_signal_start(uv_signal_t *, void (*)(uv_signal_t *, int), int);
void uv_close(uv_handle_t *, void (*)(uv_handle_t *));
void uv_unref(uv_handle_t *);

enum { FIRST_REALTIME = 34, LAST_REALTIME = 64 }; /* SIGRTMIN..SIGRTMAX of glibc */

struct watch {
  napi_env env;
  napi_ref callback;
  napi_async_cleanup_hook_handle hook;
  uv_signal_t *signal;
};

static void closed(uv_handle_t *h) {
  struct watch *w = uv_handle_get_data(h);
  napi_remove_async_cleanup_hook(w->hook);
  free(w->signal);
  free(w);
}

/* The environment ends: the reference goes with it. */
static void end(napi_async_cleanup_hook_handle hook, void *data) {
  (void)hook;
  struct watch *w = data;
  uv_close((uv_handle_t *)w->signal, closed);
}

static void arrived(uv_signal_t *s, int number) {
  (void)number;
  struct watch *w = uv_handle_get_data((uv_handle_t *)s);
  napi_handle_scope scope;
  if (napi_open_handle_scope(w->env, &scope) != napi_ok) return;
  napi_value callback, global;
  if (napi_get_reference_value(w->env, w->callback, &callback) == napi_ok &&
      napi_get_global(w->env, &global) == napi_ok &&
      napi_make_callback(w->env, NULL, global, callback, 0, NULL, NULL) == napi_pending_exception) {
    napi_value error;
    napi_get_and_clear_last_exception(w->env, &error);
    napi_fatal_exception(w->env, error);
  }
  napi_close_handle_scope(w->env, scope);
}

/* watch(number, callback): for the life of the environment, without keeping it alive. Returns 0 or the negative errno. */
static napi_value js_watch(napi_env env, napi_callback_info info) {
  struct arguments a;
  int number;
  if (!take_arguments(env, info, "watch", 2, &a) || !take_int(&a, 0, FIRST_REALTIME, LAST_REALTIME, &number) ||
      !take_function(&a, 1))
    return NULL;

  uv_loop_t *loop;
  if (napi_get_uv_event_loop(env, (struct uv_loop_s **)&loop) != napi_ok) return NULL;
  struct watch *w = calloc(1, sizeof *w);
  uv_signal_t *signal = calloc(1, uv_handle_size(UV_SIGNAL));
  if (!w || !signal) abort(); /* as Node does when memory ends */
  w->env = env;
  w->signal = signal;
  int r = uv_signal_init(loop, signal);
  if (r < 0) {
    free(signal);
    free(w);
  } else {
    uv_handle_set_data((uv_handle_t *)signal, w);
    napi_create_reference(env, a.value[1], 1, &w->callback);
    napi_add_async_cleanup_hook(env, end, w, &w->hook);
    r = uv_signal_start(signal, arrived, number);
    uv_unref((uv_handle_t *)signal);
  }
  return integer(env, r);
}

NAPI_MODULE_INIT() {
  static const struct exported functions[] = {{"watch", js_watch}};
  return EXPORT(env, exports, functions);
}
