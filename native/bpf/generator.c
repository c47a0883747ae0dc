/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * For benchmarks: with BPF_F_TEST_XDP_LIVE_FRAMES the kernel uses the same frames again as the stack left them, so every
 * run writes the headers anew before it hands them to the stack (XDP_PASS), or drops them, which is the harness alone.
 */
#include "kernel.h"

char terms[] SEC("license") = "Dual MIT/GPL";

enum { HEADERS = 64 };
struct template {
  __u8 headers[HEADERS];
  __u32 verdict;
  /* 0: one flow; else the source port goes up with every frame, over this many. */
  __u32 ports;
  __u32 next;
};
struct map_definition SEC("maps") templates = {BPF_MAP_TYPE_ARRAY, 4, sizeof(struct template), 1, 0};

SEC("xdp/generator") int xdp_generator(struct xdp_md *ctx) {
  void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
  __u32 zero = 0;
  struct template *t = map_lookup(&templates, &zero);
  if (!t || data + HEADERS > end) return XDP_ABORTED;
  copy(data, t->headers, HEADERS);
  if (t->ports) {
    t->next = t->next + 1 < t->ports ? t->next + 1 : 0;
    *(__u16 *)(data + ETH_BYTES + IP4_BYTES) = net16(1024 + t->next);
  }
  return t->verdict;
}
