/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * What a BPF program needs of the kernel, without libbpf: helper functions are called by their number
 * (include/uapi/linux/bpf.h, enum bpf_func_id), maps are defined by five numbers in the section "maps".
 */
#ifndef HOLDFAST_KERNEL_H
#define HOLDFAST_KERNEL_H
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#define SEC(name) __attribute__((section(name), used))
#define inline __inline __attribute__((always_inline))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define copy __builtin_memcpy

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error the layouts in layout.ts are little-endian
#endif
#define net16(x) __builtin_bswap16(x)
#define net32(x) __builtin_bswap32(x)

struct map_definition {
  __u32 type, key_size, value_size, max_entries, map_flags;
};

static void *(*const map_lookup)(const void *map, const void *key) = (void *)1;
static long (*const map_update)(const void *map, const void *key, const void *value, __u64 flags) = (void *)2;
static long (*const skb_store_bytes)(struct __sk_buff *, __u32 at, const void *from, __u32 n, __u64 flags) = (void *)9;
static long (*const redirect)(__u32 ifindex, __u64 flags) = (void *)23;
static __s64 (*const csum_diff)(const void *from, __u32 n, const void *to, __u32 m, __u32 seed) = (void *)28;
static long (*const skb_change_tail)(struct __sk_buff *, __u32 n, __u64 flags) = (void *)38;
static long (*const skb_pull_data)(struct __sk_buff *, __u32 n) = (void *)39;
static long (*const xdp_adjust_head)(struct xdp_md *, int delta) = (void *)44;
static long (*const skb_adjust_room)(struct __sk_buff *, __s32 delta, __u32 mode, __u64 flags) = (void *)50;
static long (*const redirect_neigh)(__u32 ifindex, const struct bpf_redir_neigh *, int n, __u64 flags) = (void *)152;
/* Linux 5.11; atomic operations with a result, which the processor level v3 has, are of 5.12. */
static __u64 (*const ktime_get_coarse_ns)(void) = (void *)160;

/* To whoever comes next (another's program or filter, then the stack), as if we were not there. TC_ACT_OK would end it here. */
enum { NOT_OURS = TC_ACT_UNSPEC };
enum { PACKET_HOST = 0 }; /* linux/if_packet.h */
enum { ETH_BYTES = 14, IP4_BYTES = 20, IP6_BYTES = 40 };
enum { ETHERTYPE_IP4 = 0x0008, ETHERTYPE_IP6 = 0xdd86 }; /* as they lie in memory */
enum { IP_ICMP = 1, IP_IPIP = 4, IP_TCP = 6, IP_UDP = 17, IP_IP6 = 41, IP_GRE = 47, IP_ICMP6 = 58, IP_SCTP = 132 };

struct ip4 {
  __u8 version_length, tos;
  __u16 total, id, fragment;
  __u8 ttl, protocol;
  __u16 check;
  __u32 source, destination;
};
struct ip6 {
  __u32 head;
  __u16 payload;
  __u8 next, hops;
  __u32 source[4], destination[4];
};
#endif
