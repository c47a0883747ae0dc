export * from './agreement.ts';
export * from './connect.ts';
export { fittingDisks } from './state.ts';
export type * from './types.ts';
