/*
 * Handles that the event loop may watch. While it is watched the event loop keeps a handle alive, otherwise garbage
 * collection closes it; when its environment ends (a worker too) every handle is closed before the loop is taken down.
 */
#ifndef HOLDFAST_HANDLES_H
#define HOLDFAST_HANDLES_H
#include "arguments.h"
#include <stdlib.h>

/* libuv's part of the ABI that is used, declared by hand: unchanged within libuv 1.x. */
typedef struct uv_loop_s uv_loop_t;
typedef struct uv_poll_s uv_poll_t;
typedef struct uv_handle_s uv_handle_t;
enum { UV_POLL = 8, UV_READABLE = 1, UV_WRITABLE = 2, UV_DISCONNECT = 4 };
size_t uv_handle_size(int type);
void uv_handle_set_data(uv_handle_t *, void *);
void *uv_handle_get_data(const uv_handle_t *);
int uv_poll_init(uv_loop_t *, uv_poll_t *, int fd);
int uv_poll_start(uv_poll_t *, int events, void (*)(uv_poll_t *, int status, int events));
int uv_poll_stop(uv_poll_t *);
void uv_close(uv_handle_t *, void (*)(uv_handle_t *));
void uv_ref(uv_handle_t *);
void uv_unref(uv_handle_t *);

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

/* Stands first in what an addon makes of it. */
struct handle {
  struct addon *addon;
  struct handle *next, **link;
  const napi_type_tag *tag;
  void (*dismantle)(struct handle *); /* gives back all but the poll handle; called once */
  int watched; /* the descriptor that is polled */
  bool open;
  unsigned owners; /* the JavaScript object, libuv until its close callback, a callback in progress */
  int events;      /* that are polled for now */
  uv_poll_t *poll;
  napi_ref self; /* held only while watched */
  napi_ref callback;
};

MAYBE void release_addon(struct addon *a) {
  if (--a->owners == 0) free(a);
}

MAYBE void release_handle(struct handle *h) {
  if (--h->owners > 0) return;
  struct addon *a = h->addon;
  free(h);
  release_addon(a);
}

MAYBE void drop_reference(napi_env env, napi_ref *r) {
  if (*r) napi_delete_reference(env, *r);
  *r = NULL;
}

/* The last handle is gone while the environment ends: now, and not earlier, may the loop be taken down. */
MAYBE void ended_if_idle(struct addon *a) {
  if (!a->ending || a->closing > 0 || !a->hook) return;
  napi_async_cleanup_hook_handle hook = a->hook;
  a->hook = NULL;
  napi_remove_async_cleanup_hook(hook);
  release_addon(a);
}

MAYBE void on_closed(uv_handle_t *u) {
  struct handle *h = uv_handle_get_data(u);
  struct addon *a = h->addon;
  free(u);
  a->closing--;
  ended_if_idle(a); /* first: the handle still owns the addon */
  release_handle(h);
}

MAYBE void close_handle(struct handle *h) {
  if (!h->open) return;
  struct addon *a = h->addon;
  h->open = false;
  if (h->poll) {
    uv_poll_stop(h->poll);
    uv_close((uv_handle_t *)h->poll, on_closed);
    a->closing++;
    h->poll = NULL;
  }
  h->dismantle(h); /* after uv_close, which took the descriptor out of the loop's set */
  *h->link = h->next;
  if (h->next) h->next->link = h->link;
  drop_reference(a->env, &h->callback);
  drop_reference(a->env, &h->self);
}

MAYBE void on_collected(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  close_handle(data);
  release_handle(data);
}

MAYBE void on_environment_end(napi_async_cleanup_hook_handle hook, void *data) {
  (void)hook;
  struct addon *a = data;
  a->ending = true;
  while (a->first) close_handle(a->first);
  ended_if_idle(a);
}

MAYBE void on_instance_end(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  release_addon(data);
}

/* Takes over `h`, which came from calloc and whose `dismantle` is set; NULL, with all given back, when an exception stands. */
MAYBE napi_value adopt_handle(napi_env env, struct handle *h, const napi_type_tag *tag, int watched) {
  struct addon *a = NULL;
  napi_value object = NULL;
  napi_get_instance_data(env, (void **)&a);
  h->watched = watched;
  h->tag = tag;
  if (napi_create_object(env, &object) != napi_ok || napi_type_tag_object(env, object, tag) != napi_ok ||
      napi_wrap(env, object, h, on_collected, NULL, NULL) != napi_ok) {
    h->dismantle(h);
    free(h);
    napi_throw_error(env, "ERR_NO_MEMORY", "a handle could not be made");
    return NULL;
  }
  h->addon = a;
  a->owners++;
  h->open = true;
  h->owners = 1;
  h->next = a->first;
  h->link = &a->first;
  if (h->next) h->next->link = &h->next;
  a->first = h;
  return object;
}

/* The handle of argument 1, open or not. */
MAYBE struct handle *take_handle(const struct arguments *a, const napi_type_tag *tag) {
  struct handle *h = tagged(a, 0, tag);
  if (!h) type_error(a, "ERR_INVALID_ARG_TYPE", "a handle was expected");
  return h;
}
/* `h`, unless it is closed. */
MAYBE struct handle *only_open(const struct arguments *a, struct handle *h) {
  if (!h || h->open) return h;
  type_error(a, "ERR_HANDLE_CLOSED", "the handle is closed");
  return NULL;
}
MAYBE struct handle *take_open_handle(const struct arguments *a, const napi_type_tag *tag) {
  return only_open(a, take_handle(a, tag));
}

/* Calls the handle's callback with one number. What it throws becomes an uncaught exception. */
MAYBE void call_back(struct handle *h, int64_t argument) {
  napi_env env = h->addon->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  h->owners++; /* the callback may close the handle */
  napi_value callback, object, value = integer(env, argument), result;
  if (napi_get_reference_value(env, h->callback, &callback) == napi_ok &&
      napi_get_reference_value(env, h->self, &object) == napi_ok &&
      napi_make_callback(env, NULL, object, callback, 1, &value, &result) == napi_pending_exception) {
    napi_value error;
    if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
  }
  release_handle(h);
  napi_close_handle_scope(env, scope);
}

/* Watches for `events` (none: the poll handle stays, and nothing is called) and sets the callback when one is given. */
MAYBE int watch_handle(struct handle *h, napi_value object, int events, napi_value callback,
                       void (*ready)(uv_poll_t *, int, int)) {
  napi_env env = h->addon->env;
  if (!h->poll) {
    uv_poll_t *poll = calloc(1, uv_handle_size(UV_POLL));
    int r = poll ? uv_poll_init(h->addon->loop, poll, h->watched) : -ENOMEM;
    if (r < 0) {
      free(poll);
      return r;
    }
    uv_handle_set_data((uv_handle_t *)poll, h);
    h->poll = poll;
    h->owners++;
  }
  if (callback) {
    drop_reference(env, &h->callback);
    napi_create_reference(env, callback, 1, &h->callback);
  }
  if (!h->self) napi_create_reference(env, object, 1, &h->self);
  int r = events ? uv_poll_start(h->poll, events, ready) : uv_poll_stop(h->poll);
  if (r == 0) h->events = events;
  return r;
}

/* Watches no more: the event loop lets go of the handle. What arrives stays where it is. */
MAYBE void unwatch_handle(struct handle *h) {
  if (!h->self) return;
  uv_poll_stop(h->poll);
  h->events = 0;
  drop_reference(h->addon->env, &h->callback);
  drop_reference(h->addon->env, &h->self);
}

/* Sets up the environment's list of handles, and exports. */
MAYBE napi_value export_addon(napi_env env, napi_value exports, const struct exported *functions, size_t count) {
  struct addon *a = calloc(1, sizeof *a);
  if (!a) return NULL;
  a->env = env;
  a->owners = 2; /* the instance data and the cleanup hook */
  if (napi_get_uv_event_loop(env, &a->loop) != napi_ok ||
      napi_set_instance_data(env, a, on_instance_end, NULL) != napi_ok ||
      napi_add_async_cleanup_hook(env, on_environment_end, a, &a->hook) != napi_ok) {
    napi_throw_error(env, "ERR_NATIVE", "the addon could not be set up");
    return NULL;
  }
  return export_functions(env, exports, functions, count);
}

#endif
