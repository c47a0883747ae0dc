/*
 * The clocks, and a timerfd as a handle. Part of sockets.c.
 */
#ifndef HOLDFAST_TIMER_H
#define HOLDFAST_TIMER_H
#include "endpoints.h"
#include <sys/timerfd.h>
#include <time.h>

static double microseconds(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec * 1e6 + (double)(t.tv_nsec / 1000);
}

/* now(): whole microseconds of CLOCK_MONOTONIC */
static napi_value js_now(napi_env env, napi_callback_info info) {
  (void)info;
  return number(env, microseconds(CLOCK_MONOTONIC));
}

/* wallOffset(): CLOCK_REALTIME - CLOCK_MONOTONIC in microseconds, now */
static napi_value js_wall_offset(napi_env env, napi_callback_info info) {
  (void)info;
  return number(env, microseconds(CLOCK_REALTIME) - microseconds(CLOCK_MONOTONIC));
}

/* timer(): handle of a timerfd on CLOCK_MONOTONIC */
static napi_value js_timer(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct endpoint *h;
  if (!take_arguments(env, info, "timer", 0, &a)) return NULL;
  int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  return fd < 0 ? outcome(env, fd) : new_endpoint(env, TIMER, fd, &h);
}

/* arm(timer, deadline): fires once when now() has reached `deadline` (microseconds); 0 disarms. */
static napi_value js_arm(napi_env env, napi_callback_info info) {
  struct arguments a;
  struct endpoint *h;
  double deadline;
  if (!take_arguments(env, info, "arm", 2, &a) || !(h = take_open(&a, ONLY_TIMER)) ||
      !take_number(&a, 1, 0, 9007199254740991.0, &deadline))
    return NULL;
  int64_t us = (int64_t)deadline;
  struct itimerspec t = {.it_value = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}};
  return outcome(env, timerfd_settime(h->fd, TFD_TIMER_ABSTIME, &t, NULL));
}
#endif
