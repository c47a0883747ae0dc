/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* Reads a frame: whose flow it belongs to. */
#ifndef HOLDFAST_PACKET_H
#define HOLDFAST_PACKET_H
#include "layout.h"

enum packet_flags {
  STARTS = 1,   /* SYN without ACK: a new connection, whatever was known */
  ENDS = 2,     /* FIN or RST */
  ERROR = 4,    /* an ICMP error; addresses and ports are those of the quoted packet, turned round */
  FIRST = 8,    /* the fragment with the ports */
  LATER = 16,   /* a fragment without them */
};
struct packet {
  __u32 source[4], destination[4]; /* IPv4 in the first word, the others 0 */
  __u32 ports;                     /* as they lie in a header: source, then destination */
  __u32 fragment;
  __u16 length; /* of the packet, from the IP header on */
  __u8 protocol, family, flags, ttl, tos;
};

static inline int carries_ports(__u8 protocol) {
  return protocol == IP_TCP || protocol == IP_UDP || protocol == IP_SCTP;
}
static inline __u32 turned(__u32 ports) { return ports << 16 | ports >> 16; }

/* The start of TCP, UDP or SCTP. 0: too short. */
static inline int read_ports(void *at, void *end, __u8 protocol, struct packet *p) {
  if (protocol == IP_TCP) {
    if (at + 14 > end) return 0;
    __u8 f = ((__u8 *)at)[13];
    if ((f & 0x12) == 0x02) p->flags |= STARTS;
    if (f & 0x05) p->flags |= ENDS;
  } else if (at + 8 > end) {
    return 0;
  }
  p->ports = *(__u32 *)at;
  return 1;
}

/* RFC 792: destination unreachable, time exceeded, parameter problem. */
static inline int read_error4(void *at, void *end, struct packet *p) {
  if (at + 8 + IP4_BYTES > end) return 0;
  __u8 type = *(__u8 *)at;
  if (type != 3 && type != 11 && type != 12) return 0;
  struct ip4 *q = at + 8;
  __u32 head = (q->version_length & 15) * 4;
  if (q->version_length >> 4 != 4 || head < IP4_BYTES || (q->fragment & net16(0x1fff)) || !carries_ports(q->protocol))
    return 0;
  /* What is quoted went from the service to the client, else it is no answer of ours. */
  if (q->source != p->destination[0]) return 0;
  void *ports = at + 8 + head;
  if (ports + 4 > end) return 0;
  p->ports = turned(*(__u32 *)ports);
  p->source[0] = q->destination;
  p->protocol = q->protocol;
  p->flags = ERROR;
  return 1;
}

static inline int read4(void *data, void *end, struct packet *p) {
  struct ip4 *ip = data + ETH_BYTES;
  if ((void *)(ip + 1) > end) return 0;
  __u32 head = (ip->version_length & 15) * 4;
  if (ip->version_length >> 4 != 4 || head < IP4_BYTES) return 0;
  p->source[0] = ip->source;
  p->destination[0] = ip->destination;
  p->protocol = ip->protocol;
  p->family = 4;
  p->ttl = ip->ttl;
  p->tos = ip->tos;
  p->length = net16(ip->total);
  void *at = data + ETH_BYTES + head;
  if (unlikely(ip->fragment & net16(0x3fff))) {
    p->fragment = ip->id;
    if (ip->fragment & net16(0x1fff)) {
      p->flags = LATER;
      return 1;
    }
    p->flags = FIRST;
  }
  if (carries_ports(ip->protocol)) return read_ports(at, end, ip->protocol, p);
  return ip->protocol == IP_ICMP && !p->flags && read_error4(at, end, p);
}

static inline int same6(const __u32 *a, const __u32 *b) {
  return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

/* RFC 4443: the error messages are types 1 to 4. */
static inline int read_error6(void *at, void *end, struct packet *p) {
  if (at + 8 + IP6_BYTES + 4 > end) return 0;
  __u8 type = *(__u8 *)at;
  struct ip6 *q = at + 8;
  if (type < 1 || type > 4 || !carries_ports(q->next) || !same6(q->source, p->destination)) return 0;
  p->ports = turned(*(__u32 *)(q + 1));
  copy(p->source, q->destination, 16);
  p->protocol = q->next;
  p->flags = ERROR;
  return 1;
}

static inline int read6(void *data, void *end, struct packet *p) {
  struct ip6 *ip = data + ETH_BYTES;
  if ((void *)(ip + 1) > end || (*(__u8 *)ip) >> 4 != 6) return 0;
  copy(p->source, ip->source, 16);
  copy(p->destination, ip->destination, 16);
  p->family = 6;
  p->ttl = ip->hops;
  p->tos = net32(ip->head) >> 20 & 0xff;
  p->length = net16(ip->payload) + IP6_BYTES;
  __u8 next = ip->next;
  __u32 at = ETH_BYTES + IP6_BYTES;
  /* Up to three extension headers: hop-by-hop, routing, destination options, fragment. */
#pragma unroll
  for (int i = 0; i < 3; i++) {
    if (likely(next != 0 && next != 43 && next != 44 && next != 60)) break;
    __u8 *h = data + at;
    if ((void *)h + 8 > end) return 0;
    if (next == 44) {
      if (p->flags) return 0;
      p->fragment = *(__u32 *)(h + 4);
      p->flags = net16(*(__u16 *)(h + 2)) & 0xfff8 ? LATER : FIRST;
      at += 8;
    } else {
      at += 8 + h[1] * 8;
    }
    next = h[0];
    if (at > 1024) return 0;
    if (p->flags == LATER) break;
  }
  p->protocol = next;
  if (p->flags == LATER) return 1;
  void *l4 = data + at;
  if (carries_ports(next)) return read_ports(l4, end, next, p);
  return next == IP_ICMP6 && !p->flags && read_error6(l4, end, p);
}

/* 0: nothing that could belong to a service. Frames with a VLAN tag are not ours: the director sits on the VLAN device. */
static inline int read_packet(void *data, void *end, struct packet *p) {
  if (data + ETH_BYTES > end) return 0;
  __u16 type = *(__u16 *)(data + 12);
  if (type == ETHERTYPE_IP4) return read4(data, end, p);
  if (type == ETHERTYPE_IP6) return read6(data, end, p);
  return 0;
}
#endif
