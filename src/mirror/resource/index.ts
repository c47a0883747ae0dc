export type { Adjusted } from './adoption.ts';
export type { Attached } from './disks/attach.ts';
export { Resource, type ResourceHost } from './resource.ts';
export type * from './types.ts';
