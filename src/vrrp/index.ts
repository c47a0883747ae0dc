export type * from './config.ts';
export * from './track/index.ts';
