/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * On a real server behind a tunnel: takes the outer headers off, with neither the ipip nor the fou module. Only what is
 * sent to an address in `endpoints` and carries a packet for an address in `vips` is touched; the rest is as without us.
 */
#include "kernel.h"

char terms[] SEC("license") = "Dual MIT/GPL";

struct address_key {
  __u32 address[4]; /* network order, IPv4 in the first word */
  __u32 family;
};
/* Own address -> UDP port of GUE in network order, 0 for none. */
struct map_definition SEC("maps") endpoints = {BPF_MAP_TYPE_HASH, sizeof(struct address_key), 4, 64, 0};
struct map_definition SEC("maps") vips = {BPF_MAP_TYPE_HASH, sizeof(struct address_key), 4, 16384, 0};

enum { DECAP_L3_IPV4 = 1 << 7, DECAP_L3_IPV6 = 1 << 8 }; /* BPF_F_ADJ_ROOM_*, Linux 6.3: only for the other family inside */

SEC("tc/decap") int tc_decap(struct __sk_buff *skb) {
  __u32 want = skb->len < 128 ? skb->len : 128;
  if ((void *)(long)skb->data + want > (void *)(long)skb->data_end && skb_pull_data(skb, want)) return NOT_OURS;
  void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
  if (data + ETH_BYTES + IP4_BYTES > end) return NOT_OURS;
  __u16 type = *(__u16 *)(data + 12);
  struct address_key to = {};
  __u32 outer;
  __u8 protocol;
  if (type == ETHERTYPE_IP4) {
    struct ip4 *ip = data + ETH_BYTES;
    if (ip->version_length != 0x45 || (ip->fragment & net16(0x3fff))) return NOT_OURS;
    to.address[0] = ip->destination;
    to.family = 4;
    protocol = ip->protocol;
    outer = IP4_BYTES;
  } else if (type == ETHERTYPE_IP6) {
    struct ip6 *ip = data + ETH_BYTES;
    if ((void *)(ip + 1) > end) return NOT_OURS;
    copy(to.address, ip->destination, 16);
    to.family = 6;
    protocol = ip->next;
    outer = IP6_BYTES;
  } else {
    return NOT_OURS;
  }
  if (protocol != IP_IPIP && protocol != IP_IP6 && protocol != IP_GRE && protocol != IP_UDP) return NOT_OURS;
  __u32 *port = map_lookup(&endpoints, &to);
  if (!port) return NOT_OURS;
  void *at = data + ETH_BYTES + outer;
  if (protocol == IP_GRE) {
    if (at + 4 > end || *(__u16 *)at) return NOT_OURS;
    __u16 carried = *(__u16 *)(at + 2);
    protocol = carried == ETHERTYPE_IP4 ? IP_IPIP : carried == ETHERTYPE_IP6 ? IP_IP6 : 0;
    outer += 4;
    at += 4;
  } else if (protocol == IP_UDP) {
    if (at + 12 > end || !*port || *(__u16 *)(at + 2) != (__u16)*port || *(__u8 *)(at + 8)) return NOT_OURS;
    protocol = *(__u8 *)(at + 9);
    outer += 12;
    at += 12;
  }
  struct address_key vip = {};
  __u16 inside;
  if (protocol == IP_IPIP) {
    struct ip4 *ip = at;
    if ((void *)(ip + 1) > end || ip->version_length >> 4 != 4) return NOT_OURS;
    vip.address[0] = ip->destination;
    vip.family = 4;
    inside = ETHERTYPE_IP4;
  } else if (protocol == IP_IP6) {
    struct ip6 *ip = at;
    if ((void *)(ip + 1) > end || *(__u8 *)ip >> 4 != 6) return NOT_OURS;
    copy(vip.address, ip->destination, 16);
    vip.family = 6;
    inside = ETHERTYPE_IP6;
  } else {
    return NOT_OURS;
  }
  if (!map_lookup(&vips, &vip)) return NOT_OURS;
  __u64 flags = inside == type ? 0 : inside == ETHERTYPE_IP4 ? DECAP_L3_IPV4 : DECAP_L3_IPV6;
  if (skb_adjust_room(skb, -(__s32)outer, BPF_ADJ_ROOM_MAC, flags)) return TC_ACT_SHOT;
  if (inside != type && skb_store_bytes(skb, 12, &inside, 2, 0)) return TC_ACT_SHOT;
  /* At its end: what came to a server is not balanced again by a director on the same machine. */
  return TC_ACT_OK;
}
