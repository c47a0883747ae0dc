export * from './agreement.ts';
export * from './connect.ts';
export * from './meeting.ts';
export { agreeSize } from './sizes.ts';
export { fittingDisks } from './state.ts';
export { roleOf, stateWord, volumePackets } from './tell.ts';
export type * from './types.ts';
