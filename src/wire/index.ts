export * from './ah.ts';
export * from './arp.ts';
export * from './bfd.ts';
export * from './ethernet.ts';
export * from './icmp.ts';
export * from './ipv4.ts';
export * from './ipv6.ts';
export * from './mac.ts';
export * from './ndp.ts';
<<<<<<< HEAD
export * from './netlink/index.ts';
=======
>>>>>>> wire
export * from './pcap.ts';
export * from './pseudo.ts';
export { type Codec, codecs, REGISTRY_PATH } from './registry.ts';
export type * from './short.ts';
export * from './udp.ts';
export * from './vrrp.ts';
export * from './vrrp-hmac.ts';
