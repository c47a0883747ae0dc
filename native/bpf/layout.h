/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* What lies in the maps; src/director/planes/bpf/layout.ts writes and reads the same. Host order unless said. */
#ifndef HOLDFAST_LAYOUT_H
#define HOLDFAST_LAYOUT_H
#include "kernel.h"

enum { RING_SHIFT = 10, RING_SLOTS = 1 << RING_SHIFT }; /* slots of one block of `rings` */

/* `services`: one address, one port. IPv4 addresses fill the first word. Port 0: every port of the address. */
struct service_key {
  __u32 address[4]; /* network order */
  __u16 port;       /* network order */
  __u8 protocol, family;
};
/* `ranges`, longest prefix: a block of addresses. */
struct range_key {
  __u32 prefix; /* bits of what follows */
  __u8 protocol, family;
  __u16 port;
  __u32 address[4];
};

enum service_flags {
  BY_SOURCE = 1,         /* what goes into the hash: the client's address under the mask, */
  BY_SOURCE_PORT = 2,    /* its port, */
  BY_DESTINATION = 4,    /* the service's address, */
  BY_DESTINATION_PORT = 8, /* and port */
  STATELESS = 16,        /* no flow is remembered (one-packet) */
  IN_TURN = 32,          /* slots one after the other instead of by hash */
};
struct service {
  __u32 id;
  __u32 block; /* first of the ring's in `rings` */
  __u32 slots; /* 0: nobody serves */
  __u32 flags;
  __u32 mask[4]; /* network order */
  __u32 turn;
  __u32 size; /* servers that the ring's size was chosen for; for the loader only */
};

struct ring {
  __u32 server[RING_SLOTS];
};

enum send { NOBODY, DIRECT, HERE, TUNNEL_IP, TUNNEL_GUE, TUNNEL_GRE };
struct server {
  __u32 serial; /* a flow is good only for the serial that it remembers */
  __u32 service;
  __u32 ifindex; /* of the device behind which the server is */
  __u16 port;    /* host order; with service and address what a restarted loader knows it by */
  __u8 send, family;
  __u32 address[4]; /* network order */
  __u32 source[4];  /* TUN: of the outer header */
  __u16 mtu;        /* TUN: the largest packet that goes through with its headers */
  __u16 gue_port;   /* network order */
  __u8 mac[6], own_mac[6];
  __u16 weight;
  __u8 mac_known, tunnel_flags;
  __u32 reserved;
};

struct counters {
  __u64 packets, bytes, connections, closed;
};

struct flow4 {
  __u32 source, destination, ports, protocol;
};
struct flow6 {
  __u32 source[4], destination[4], ports, protocol;
};
enum flow_state { FLOW_OPEN, FLOW_CLOSED };
struct flow {
  __u32 server, serial;
  __u32 seen; /* units of 2^30 ns of CLOCK_MONOTONIC */
  __u32 state;
};

/* What came of packets that went nowhere, or oddly; the index into `events`. */
enum event { NO_SERVER, TTL_GONE, TOO_BIG, SEND_FAILED, LOOPED, EVENTS };

struct config {
  __u32 flags;
  __u32 here_mark; /* set on packets for a local real server, so that a guard lets them in; 0: none */
  __u32 last_serial; /* that was given out; for the loader only */
};
enum config_flags { HAVE_RANGES = 1, HAVE_DIRECTORS = 2 };
#endif
