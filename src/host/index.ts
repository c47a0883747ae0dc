export type * from './bpf.ts';
export type * from './netlink.ts';
export * from './plan/index.ts';
export type * from './ports.ts';
