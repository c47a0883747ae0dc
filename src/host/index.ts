export type * from './blocks.ts';
export type * from './bpf.ts';
export type * from './netlink.ts';
export * from './plan/index.ts';
export type * from './ports.ts';
export { Regions } from './regions.ts';
export type * from './relays.ts';
export type * from './stream-server.ts';
export type * from './streams.ts';
