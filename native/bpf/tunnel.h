/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* TUN: an outer IPv4 or IPv6 header around the packet, alone or with GUE or GRE, and the ICMP error for what no longer fits. */
#ifndef HOLDFAST_TUNNEL_H
#define HOLDFAST_TUNNEL_H
#include "decide.h"

static inline __u16 folded(__u32 sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return ~sum;
}

enum { QUOTED = 64 }; /* bytes of the packet in the error: its IP and TCP headers; what is too big is longer */

struct too_big4 {
  struct ip4 ip;
  __u8 type, code;
  __u16 check, unused, mtu;
};
struct too_big6 {
  struct ip6 ip;
  __u8 type, code;
  __u16 check;
  __u32 mtu;
};
struct ethernet {
  __u8 to[6], from[6];
  __u16 type;
};

/* Turns the frame into the error that tells its sender, and sends that back where the frame came from. */
static inline int tell_too_big(struct __sk_buff *skb, const struct packet *p, __u32 mtu) {
  note(TOO_BIG);
  void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
  if (data + ETH_BYTES + QUOTED > end) return TC_ACT_SHOT;
  struct ethernet *old = data, eth = {.type = old->type};
  copy(eth.to, old->from, 6);
  copy(eth.from, old->to, 6);
  __u32 quoted[QUOTED / 4];
  copy(quoted, data + ETH_BYTES, QUOTED);
  if (p->family == 4) { /* the hop that was counted for the way that it does not go */
    struct ip4 *ip = (void *)quoted;
    ip->ttl++;
    __u32 sum = ip->check + net16(0xfeff);
    ip->check = (sum & 0xffff) + (sum >> 16);
  } else {
    ((struct ip6 *)quoted)->hops++;
  }
  __u32 sum = csum_diff(0, 0, quoted, QUOTED, 0);
  if (skb_change_tail(skb, ETH_BYTES + QUOTED, 0)) return TC_ACT_SHOT;
  if (p->family == 4) {
    /* RFC 1191 */
    struct too_big4 e = {.ip = {.version_length = 0x45, .total = net16(sizeof e + QUOTED), .ttl = 64, .protocol = IP_ICMP,
                                .source = p->destination[0], .destination = p->source[0]},
                         .type = 3, .code = 4, .mtu = net16(mtu)};
    e.ip.check = folded(csum_diff(0, 0, (__u32 *)&e.ip, IP4_BYTES, 0));
    e.check = folded(csum_diff(0, 0, (__u32 *)&e.type, 8, sum));
    if (skb_adjust_room(skb, sizeof e, BPF_ADJ_ROOM_MAC, 0) || skb_store_bytes(skb, ETH_BYTES, &e, sizeof e, 0) ||
        skb_store_bytes(skb, ETH_BYTES + sizeof e, quoted, QUOTED, 0))
      return TC_ACT_SHOT;
  } else {
    /* RFC 4443 section 3.2 */
    struct too_big6 e = {.ip = {.head = net32(6u << 28), .payload = net16(8 + QUOTED), .next = IP_ICMP6, .hops = 64},
                         .type = 2, .mtu = net32(mtu)};
    copy(e.ip.source, p->destination, 16);
    copy(e.ip.destination, p->source, 16);
    __u32 pseudo[2] = {net32(8 + QUOTED), net32(IP_ICMP6)};
    sum = csum_diff(0, 0, e.ip.source, 32, sum);
    sum = csum_diff(0, 0, pseudo, 8, sum);
    e.check = folded(csum_diff(0, 0, (__u32 *)&e.type, 8, sum));
    if (skb_adjust_room(skb, sizeof e, BPF_ADJ_ROOM_MAC, 0) || skb_store_bytes(skb, ETH_BYTES, &e, sizeof e, 0) ||
        skb_store_bytes(skb, ETH_BYTES + sizeof e, quoted, QUOTED, 0))
      return TC_ACT_SHOT;
  }
  if (skb_store_bytes(skb, 0, &eth, sizeof eth, 0)) return TC_ACT_SHOT;
  return redirect(skb->ifindex, 0);
}

struct gue {
  __u16 source, destination, length, check;
  __u8 head, protocol; /* draft-ietf-intarea-gue: version 0, no options */
  __u16 flags;
};
struct gre {
  __u16 flags, protocol; /* RFC 2784 without checksum */
};

/* What stands between the outer IP header and the packet. */
static inline __u32 shim_bytes(__u8 send) {
  return send == TUNNEL_GUE ? sizeof(struct gue) : send == TUNNEL_GRE ? sizeof(struct gre) : 0;
}

static inline int through_tunnel(struct __sk_buff *skb, const struct packet *p, const struct server *s) {
  __u32 outer = s->family == 4 ? IP4_BYTES : IP6_BYTES, shim = shim_bytes(s->send);
  __u32 inner = skb->len - ETH_BYTES, ifindex = s->ifindex;
  /* What the card or its driver joined (GSO) is cut again on the way out, smaller by the headers. */
  if (unlikely(inner + outer + shim > s->mtu && skb->gso_segs <= 1))
    return tell_too_big(skb, p, s->mtu - outer - shim);
  __u8 protocol = p->family == 4 ? IP_IPIP : IP_IP6;
  __u64 flags = s->family == 4 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV6;
  struct gue gue = {};
  struct gre gre = {};
  __u8 send = s->send, carried = protocol;
  if (send == TUNNEL_GUE) {
    /* The port tells flows apart for the receive queues of the server (RFC 6335: the dynamic ones). */
    __u32 h = mix(mix(mix(0, p->source[0] ^ p->source[3]), p->destination[0] ^ p->destination[3]), p->ports);
    gue.source = net16(0xc000 | (h ^ h >> 16) & 0x3fff);
    gue.destination = s->gue_port;
    gue.length = net16(inner + shim);
    gue.protocol = protocol;
    carried = IP_UDP;
    flags |= BPF_F_ADJ_ROOM_ENCAP_L4_UDP;
  } else if (send == TUNNEL_GRE) {
    gre.protocol = p->family == 4 ? ETHERTYPE_IP4 : ETHERTYPE_IP6;
    carried = IP_GRE;
    flags |= BPF_F_ADJ_ROOM_ENCAP_L4_GRE;
  }
  __u16 type = s->family == 4 ? ETHERTYPE_IP4 : ETHERTYPE_IP6;
  long failed;
  if (s->family == 4) {
    struct ip4 ip = {.version_length = 0x45, .tos = p->tos, .total = net16(inner + outer + shim), .fragment = net16(0x4000),
                     .ttl = 64, .protocol = carried, .source = s->source[0], .destination = s->address[0]};
    ip.check = folded(csum_diff(0, 0, (__u32 *)&ip, IP4_BYTES, 0));
    failed = skb_adjust_room(skb, outer + shim, BPF_ADJ_ROOM_MAC, flags) || skb_store_bytes(skb, ETH_BYTES, &ip, sizeof ip, 0);
  } else {
    struct ip6 ip = {.head = net32(6u << 28 | p->tos << 20), .payload = net16(inner + shim), .next = carried, .hops = 64};
    copy(ip.source, s->source, 16);
    copy(ip.destination, s->address, 16);
    /* A checksum of 0 is right for UDP over IPv6 where the packet inside has its own (RFC 6935). */
    failed = skb_adjust_room(skb, outer + shim, BPF_ADJ_ROOM_MAC, flags) || skb_store_bytes(skb, ETH_BYTES, &ip, sizeof ip, 0);
  }
  if (!failed && send == TUNNEL_GUE) failed = skb_store_bytes(skb, ETH_BYTES + outer, &gue, sizeof gue, 0);
  if (!failed && send == TUNNEL_GRE) failed = skb_store_bytes(skb, ETH_BYTES + outer, &gre, sizeof gre, 0);
  if (failed || skb_store_bytes(skb, 12, &type, 2, 0)) {
    note(SEND_FAILED);
    return TC_ACT_SHOT;
  }
  return redirect_neigh(ifindex, 0, 0, 0);
}
#endif
