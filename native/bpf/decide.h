/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* Which server gets a packet. The sizes of the maps are the loader's; those here are the smallest. */
#ifndef HOLDFAST_DECIDE_H
#define HOLDFAST_DECIDE_H
#include "packet.h"

struct map_definition SEC("maps") config = {BPF_MAP_TYPE_ARRAY, 4, sizeof(struct config), 1, 0};
struct map_definition SEC("maps") services = {BPF_MAP_TYPE_HASH, sizeof(struct service_key), sizeof(struct service), 1024, 0};
struct map_definition SEC("maps") ranges = {BPF_MAP_TYPE_LPM_TRIE, sizeof(struct range_key), sizeof(struct service), 1024, BPF_F_NO_PREALLOC};
struct map_definition SEC("maps") rings = {BPF_MAP_TYPE_ARRAY, 4, sizeof(struct ring), 64, 0};
struct map_definition SEC("maps") servers = {BPF_MAP_TYPE_ARRAY, 4, sizeof(struct server), 1024, 0};
struct map_definition SEC("maps") counters = {BPF_MAP_TYPE_PERCPU_ARRAY, 4, sizeof(struct counters), 1024, 0};
struct map_definition SEC("maps") events = {BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, EVENTS, 0};
struct map_definition SEC("maps") flows4 = {BPF_MAP_TYPE_LRU_HASH, sizeof(struct flow4), sizeof(struct flow), 262144, 0};
struct map_definition SEC("maps") flows6 = {BPF_MAP_TYPE_LRU_HASH, sizeof(struct flow6), sizeof(struct flow), 65536, 0};
struct map_definition SEC("maps") fragments = {BPF_MAP_TYPE_LRU_HASH, sizeof(struct flow6), sizeof(struct flow), 8192, 0};
/* Link addresses of a service's other servers, where this machine is one too: what they send here, as its directors, is for the one on it. */
struct director {
  __u8 mac[6];
  __u16 zero;
  __u32 service;
};
struct map_definition SEC("maps") directors = {BPF_MAP_TYPE_HASH, sizeof(struct director), 4, 1024, 0};

enum verdict { PASS, DROP, SEND };

static inline void note(__u32 event) {
  __u64 *n = map_lookup(&events, &event);
  if (n) ++*n;
}
static inline __u32 now(void) { return ktime_get_coarse_ns() >> 30; }

/* The mixing steps of MurmurHash3 (public domain), 32 bits at a time. */
static inline __u32 mix(__u32 h, __u32 k) {
  k *= 0xcc9e2d51;
  k = k << 15 | k >> 17;
  h ^= k * 0x1b873593;
  h = h << 13 | h >> 19;
  return h * 5 + 0xe6546b64;
}
static inline __u32 flow_hash(const struct packet *p, const struct service *s) {
  __u32 h = 0x484f4c44;
  if (s->flags & BY_SOURCE) {
    h = mix(h, p->source[0] & s->mask[0]);
    if (p->family == 6) {
      h = mix(h, p->source[1] & s->mask[1]);
      h = mix(h, p->source[2] & s->mask[2]);
      h = mix(h, p->source[3] & s->mask[3]);
    }
  }
  if (s->flags & BY_DESTINATION) {
    h = mix(h, p->destination[0]);
    if (p->family == 6) {
      h = mix(h, p->destination[1]);
      h = mix(h, p->destination[2]);
      h = mix(h, p->destination[3]);
    }
  }
  h = mix(h, (s->flags & BY_SOURCE_PORT ? p->ports & 0xffff : 0) | (s->flags & BY_DESTINATION_PORT ? p->ports & 0xffff0000 : 0));
  h ^= h >> 16;
  h *= 0x85ebca6b;
  h ^= h >> 13;
  h *= 0xc2b2ae35;
  return h ^ h >> 16;
}

static inline struct server *good(const struct flow *f) {
  struct server *s = map_lookup(&servers, &f->server);
  return s && s->serial == f->serial && s->send != NOBODY ? s : 0;
}

static inline struct service *find_service(const struct packet *p, const struct config *c) {
  struct service_key k = {.port = p->ports >> 16, .protocol = p->protocol, .family = p->family};
  copy(k.address, p->destination, 16);
  struct service *s = map_lookup(&services, &k);
  if (s) return s;
  k.port = 0;
  s = map_lookup(&services, &k);
  if (s || !(c->flags & HAVE_RANGES)) return s;
  struct range_key r = {.prefix = 160, .protocol = p->protocol, .family = p->family, .port = p->ports >> 16};
  copy(r.address, p->destination, 16);
  s = map_lookup(&ranges, &r);
  if (s) return s;
  r.port = 0;
  return map_lookup(&ranges, &r);
}

static inline void count(__u32 server, __u32 bytes, __u32 connections, __u32 closed) {
  struct counters *c = map_lookup(&counters, &server);
  if (!c) return;
  c->packets += bytes > 0;
  c->bytes += bytes;
  c->connections += connections;
  c->closed += closed;
}

static inline struct flow *find_flow(const struct packet *p) {
  if (p->family == 4) {
    struct flow4 k = {p->source[0], p->destination[0], p->ports, p->protocol};
    return map_lookup(&flows4, &k);
  }
  struct flow6 k = {.ports = p->ports, .protocol = p->protocol};
  copy(k.source, p->source, 16);
  copy(k.destination, p->destination, 16);
  return map_lookup(&flows6, &k);
}
static inline void remember(const struct packet *p, const struct flow *f) {
  if (p->family == 4) {
    struct flow4 k = {p->source[0], p->destination[0], p->ports, p->protocol};
    map_update(&flows4, &k, f, BPF_ANY);
    return;
  }
  struct flow6 k = {.ports = p->ports, .protocol = p->protocol};
  copy(k.source, p->source, 16);
  copy(k.destination, p->destination, 16);
  map_update(&flows6, &k, f, BPF_ANY);
}
static inline void fragment_key(const struct packet *p, struct flow6 *k) {
  copy(k->source, p->source, 16);
  copy(k->destination, p->destination, 16);
  k->ports = p->fragment;
  k->protocol = p->protocol;
}

/* By the service, for a flow that is not known. */
static inline enum verdict choose(const struct packet *p, struct server **server, __u32 *id) {
  __u32 zero = 0;
  struct config *c = map_lookup(&config, &zero);
  if (!c) return PASS;
  struct service *s = find_service(p, c);
  if (!s) return PASS;
  __u32 slots = s->slots;
  if (!slots) {
    note(NO_SERVER);
    return DROP;
  }
  __u32 h = s->flags & IN_TURN ? __sync_fetch_and_add(&s->turn, 1) % slots : (__u64)flow_hash(p, s) * slots >> 32;
  __u32 block = s->block + (h >> RING_SHIFT);
  struct ring *r = map_lookup(&rings, &block);
  if (!r) return DROP;
  *id = r->server[h & (RING_SLOTS - 1)];
  *server = map_lookup(&servers, id);
  if (!*server || (*server)->send == NOBODY) {
    note(NO_SERVER);
    return DROP;
  }
  if (s->flags & STATELESS || p->flags & ERROR) return SEND;
  struct flow f = {*id, (*server)->serial, now(), p->flags & ENDS ? FLOW_CLOSED : FLOW_OPEN};
  /* A repeated SYN is the same connection. */
  struct flow *old = p->flags & STARTS ? find_flow(p) : 0;
  int again = old && old->server == f.server && old->serial == f.serial && old->state == FLOW_OPEN;
  remember(p, &f);
  if (!again) count(*id, 0, 1, p->flags & ENDS ? 1 : 0);
  return SEND;
}

/* Counts nothing but connections: the packet is counted where it is sent. */
static inline enum verdict decide(const struct packet *p, struct server **server, __u32 *id) {
  if (unlikely(p->flags & LATER)) {
    /* Fragments that arrive before the one with the ports go to the stack, which keeps and then discards them. */
    struct flow6 k = {};
    fragment_key(p, &k);
    struct flow *f = map_lookup(&fragments, &k);
    if (!f || !(*server = good(f))) return PASS;
    *id = f->server;
    return SEND;
  }
  if (likely(!(p->flags & STARTS))) {
    struct flow *f = find_flow(p);
    if (likely(f) && likely(*server = good(f))) {
      *id = f->server;
      if (!(p->flags & ERROR)) {
        __u32 t = now();
        if (f->seen != t) f->seen = t;
        if (unlikely(p->flags & ENDS) && f->state == FLOW_OPEN) {
          f->state = FLOW_CLOSED;
          count(*id, 0, 0, 1);
        }
      }
      goto found;
    }
  }
  enum verdict v = choose(p, server, id);
  if (v != SEND) return v;
found:
  if (unlikely(p->flags & FIRST)) {
    struct flow6 k = {};
    fragment_key(p, &k);
    struct flow f = {*id, (*server)->serial, now(), FLOW_OPEN};
    map_update(&fragments, &k, &f, BPF_ANY);
  }
  return SEND;
}
#endif
