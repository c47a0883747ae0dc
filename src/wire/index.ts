export * from './arp.ts';
export * from './ethernet.ts';
export * from './ipv4.ts';
export * from './mac.ts';
export * from './pseudo.ts';
export * from './short.ts';
export * from './vrrp.ts';
