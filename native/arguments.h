/*
 * Arguments and results of the addons' functions. Node-API only.
 *
 * Conventions. What the kernel may refuse returns a number: the result, or the negative errno. Misuse (wrong count, type
 * or range of arguments, a closed handle) throws with a `code` and never reaches the kernel.
 */
#ifndef HOLDFAST_ARGUMENTS_H
#define HOLDFAST_ARGUMENTS_H
#include <errno.h>
#include <math.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* An addon that needs less leaves the rest to the compiler to drop. */
#define MAYBE __attribute__((unused)) static

#define MAX_ARGUMENTS 8
struct arguments {
  napi_env env;
  napi_value value[MAX_ARGUMENTS];
  const char *function;
};

MAYBE void type_error(const struct arguments *a, const char *code, const char *what) {
  char message[160];
  snprintf(message, sizeof message, "%s: %s", a->function, what);
  napi_throw_type_error(a->env, code, message);
}
/* false, for the caller to return. */
MAYBE bool range_error(const struct arguments *a, int i, const char *what) {
  char message[160];
  snprintf(message, sizeof message, "%s: argument %d %s", a->function, i + 1, what);
  napi_throw_range_error(a->env, "ERR_OUT_OF_RANGE", message);
  return false;
}

MAYBE bool take_arguments(napi_env env, napi_callback_info info, const char *function, size_t want,
                          struct arguments *a) {
  size_t have = MAX_ARGUMENTS;
  a->env = env;
  a->function = function;
  if (napi_get_cb_info(env, info, &have, a->value, NULL, NULL) == napi_ok && have == want) return true;
  type_error(a, "ERR_MISSING_ARGS", "wrong number of arguments");
  return false;
}

static inline napi_valuetype type_of(const struct arguments *a, int i) {
  napi_valuetype t = napi_undefined;
  napi_typeof(a->env, a->value[i], &t);
  return t;
}

/* A whole number. */
MAYBE bool take_number(const struct arguments *a, int i, double low, double high, double *out) {
  if (type_of(a, i) != napi_number) {
    type_error(a, "ERR_INVALID_ARG_TYPE", "a number was expected");
    return false;
  }
  napi_get_value_double(a->env, a->value[i], out);
  if (*out >= low && *out <= high && *out == floor(*out)) return true;
  char what[80];
  snprintf(what, sizeof what, "is no whole number in %.0f..%.0f", low, high);
  return range_error(a, i, what);
}
MAYBE bool take_int(const struct arguments *a, int i, int low, int high, int *out) {
  double d;
  if (!take_number(a, i, low, high, &d)) return false;
  *out = (int)d;
  return true;
}
MAYBE bool take_u32(const struct arguments *a, int i, uint32_t low, uint32_t high, uint32_t *out) {
  double d;
  if (!take_number(a, i, low, high, &d)) return false;
  *out = (uint32_t)d;
  return true;
}

MAYBE bool take_bool(const struct arguments *a, int i, bool *out) {
  if (napi_get_value_bool(a->env, a->value[i], out) == napi_ok) return true;
  type_error(a, "ERR_INVALID_ARG_TYPE", "a boolean was expected");
  return false;
}

static inline bool bytes_of(const struct arguments *a, int i, uint8_t **data, size_t *n) {
  bool is = false;
  napi_typedarray_type type = napi_int8_array;
  void *at = NULL;
  *data = NULL;
  *n = 0;
  if (type_of(a, i) == napi_object) napi_is_typedarray(a->env, a->value[i], &is);
  if (is) napi_get_typedarray_info(a->env, a->value[i], &type, n, &at, NULL, NULL);
  if (!is || type != napi_uint8_array) {
    type_error(a, "ERR_INVALID_ARG_TYPE", "a Uint8Array was expected");
    return false;
  }
  *data = at;
  return true;
}
/* A Uint8Array of `low` to `high` bytes. */
MAYBE bool take_bytes(const struct arguments *a, int i, size_t low, size_t high, uint8_t **data, size_t *n) {
  if (!bytes_of(a, i, data, n)) return false;
  if (*n >= low && *n <= high && (*n == 0 || *data)) return true;
  char what[80];
  snprintf(what, sizeof what, "has %zu bytes, not %zu..%zu", *n, low, high);
  return range_error(a, i, what);
}
MAYBE bool is_undefined(const struct arguments *a, int i) { return type_of(a, i) == napi_undefined; }
/* The same, where undefined stands for none. */
MAYBE bool take_optional_bytes(const struct arguments *a, int i, size_t low, size_t high, uint8_t **data, size_t *n) {
  *data = NULL;
  *n = 0;
  return is_undefined(a, i) || take_bytes(a, i, low, high, data, n);
}
/* Of a Uint8Array the part from argument i+1 to argument i+2. */
MAYBE bool take_range(const struct arguments *a, int i, uint8_t **from, size_t *length) {
  uint8_t *at;
  size_t n;
  double begin, end;
  if (!bytes_of(a, i, &at, &n) || !take_number(a, i + 1, 0, (double)n, &begin) ||
      !take_number(a, i + 2, begin, (double)n, &end))
    return false;
  *from = at + (size_t)begin;
  *length = (size_t)(end - begin);
  return true;
}

/* A string of at least `low` bytes and less than `room`, without a NUL in it. */
MAYBE bool take_text(const struct arguments *a, int i, size_t low, char *out, size_t room) {
  size_t n;
  if (type_of(a, i) != napi_string || napi_get_value_string_utf8(a->env, a->value[i], NULL, 0, &n) != napi_ok) {
    type_error(a, "ERR_INVALID_ARG_TYPE", "a string was expected");
    return false;
  }
  if (n >= low && n < room) {
    napi_get_value_string_utf8(a->env, a->value[i], out, room, &n);
    if (strlen(out) == n) return true;
  }
  return range_error(a, i, "is empty, too long, or holds a NUL");
}

MAYBE bool take_function(const struct arguments *a, int i) {
  if (type_of(a, i) == napi_function) return true;
  type_error(a, "ERR_INVALID_ARG_TYPE", "a function was expected");
  return false;
}

/* What napi_unwrap gives of an object that carries this tag; NULL of any other value. */
MAYBE void *tagged(const struct arguments *a, int i, const napi_type_tag *tag) {
  bool ours = false;
  void *found = NULL;
  if (type_of(a, i) == napi_object) napi_check_object_type_tag(a->env, a->value[i], tag, &ours);
  if (ours) napi_unwrap(a->env, a->value[i], &found);
  return found;
}

/* ------------------------------------------------------------------------------------------ results */

MAYBE napi_value number(napi_env env, double d) {
  napi_value v = NULL;
  napi_create_double(env, d, &v);
  return v;
}
MAYBE napi_value integer(napi_env env, int64_t n) {
  napi_value v = NULL;
  if (n >= INT32_MIN && n <= INT32_MAX) napi_create_int32(env, (int32_t)n, &v);
  else napi_create_double(env, (double)n, &v);
  return v;
}
/* The result of a system call in the convention above. Nothing may stand between the call and this. */
MAYBE napi_value outcome(napi_env env, int64_t result) { return integer(env, result < 0 ? -errno : result); }
MAYBE napi_value undefined(napi_env env) {
  napi_value v = NULL;
  napi_get_undefined(env, &v);
  return v;
}

struct exported {
  const char *name;
  napi_callback call;
};
MAYBE napi_value export_functions(napi_env env, napi_value exports, const struct exported *functions, size_t count) {
  for (size_t i = 0; i < count; i++) {
    napi_value f;
    if (napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].call, NULL, &f) != napi_ok ||
        napi_set_named_property(env, exports, functions[i].name, f) != napi_ok)
      return NULL;
  }
  return exports;
}
#define EXPORT(env, exports, functions) export_functions(env, exports, functions, sizeof functions / sizeof *functions)

#endif
