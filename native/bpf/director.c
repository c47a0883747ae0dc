/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * The director's packet path. `tc_director` does everything; `xdp_director` sends early what is simple (direct routing
 * to a server on the same link whose link address is known) and leaves the rest to it. Both share all maps.
 */
#include "decide.h"
#include "tunnel.h"

char terms[] SEC("license") = "Dual MIT/GPL";

static inline __u64 link_address(const void *bytes) {
  __u64 mac = 0;
  copy(&mac, bytes, 6);
  return mac;
}

static inline int from_director(void *data, __u32 service) {
  __u32 zero = 0;
  struct config *c = map_lookup(&config, &zero);
  if (!c || !(c->flags & HAVE_DIRECTORS)) return 0;
  struct director key = {.service = service};
  copy(key.mac, data + 6, 6);
  return map_lookup(&directors, &key) != 0;
}
/* On to this machine's own stack, past the guard. */
static inline int here(struct __sk_buff *skb) {
  __u32 zero = 0;
  struct config *c = map_lookup(&config, &zero);
  if (c && c->here_mark) skb->mark = c->here_mark;
  return NOT_OURS;
}

/*
 * A switch that has forgotten where a machine is sends its frames to everybody. The address of a virtual router (RFC 9568
 * section 7.3) is nobody else's: it is of a device on top of the one that takes the frame.
 */
static inline int of_virtual_router(const __u8 *mac) {
  return mac[0] == 0 && mac[1] == 0 && mac[2] == 0x5e && mac[3] == 0 && (mac[4] == 1 || mac[4] == 2);
}

/* TTL and checksum (RFC 1624), or hop limit; the packet was read, so the bytes are there. */
static inline int one_hop_less(void *data, void *end, __u8 family) {
  if (family == 4) {
    struct ip4 *ip = data + ETH_BYTES;
    if ((void *)(ip + 1) > end || ip->ttl <= 1) return 0;
    __u32 sum = ip->check + net16(0x0100);
    ip->check = sum + (sum >= 0xffff);
    ip->ttl--;
  } else {
    struct ip6 *ip = data + ETH_BYTES;
    if ((void *)(ip + 1) > end || ip->hops <= 1) return 0;
    ip->hops--;
  }
  return 1;
}

static inline int to_neighbour(const struct server *s) {
  struct bpf_redir_neigh next = {.nh_family = s->family == 4 ? 2 : 10};
  copy(next.ipv6_nh, s->address, 16);
  return redirect_neigh(s->ifindex, &next, sizeof next, 0);
}

SEC("tc/director") int tc_director(struct __sk_buff *skb) {
  if (skb->vlan_present) return NOT_OURS;
  __u32 want = skb->len < 192 ? skb->len : 192;
  if (unlikely((void *)(long)skb->data + want > (void *)(long)skb->data_end) && skb_pull_data(skb, want)) return NOT_OURS;
  void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
  struct packet p = {};
  if (!read_packet(data, end, &p) || data + ETH_BYTES > end) return NOT_OURS;
  if (unlikely(skb->pkt_type != PACKET_HOST) && !of_virtual_router(data)) return NOT_OURS;
  struct server *s = 0;
  __u32 id = 0;
  enum verdict v = decide(&p, &s, &id);
  if (v == PASS || !s) return v == DROP ? TC_ACT_SHOT : NOT_OURS;
  if (from_director(data, s->service)) {
    note(LOOPED);
    return here(skb);
  }
  count(id, p.length, 0, 0);
  if (s->send == HERE) return here(skb);
  if (unlikely(!one_hop_less(data, end, p.family))) {
    note(TTL_GONE);
    return TC_ACT_SHOT;
  }
  if (likely(s->send == DIRECT)) return to_neighbour(s);
  return through_tunnel(skb, &p, s);
}

SEC("xdp/director") int xdp_director(struct xdp_md *ctx) {
  void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
  struct packet p = {};
  if (!read_packet(data, end, &p) || p.flags & (ERROR | FIRST | LATER)) return XDP_PASS;
  struct server *s = 0;
  __u32 id = 0;
  enum verdict v = decide(&p, &s, &id);
  if (v != SEND || !s) return v == DROP ? XDP_DROP : XDP_PASS;
  if (s->send != DIRECT || !s->mac_known || s->ifindex != ctx->ingress_ifindex) return XDP_PASS;
  if (data + ETH_BYTES > end || from_director(data, s->service)) return XDP_PASS;
  if (link_address(data) != link_address(s->own_mac) && !of_virtual_router(data)) return XDP_PASS;
  if (unlikely(!one_hop_less(data, end, p.family))) {
    note(TTL_GONE);
    return XDP_DROP;
  }
  copy(data, s->mac, 6);
  copy(data + 6, s->own_mac, 6);
  count(id, p.length, 0, 0);
  return XDP_TX;
}
