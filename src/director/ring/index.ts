export { type Emulated, emulate, type Load, looksAtLoad } from './emulate.ts';
export { hash32 } from './hash.ts';
export { maglev, NOBODY, RING_SIZES, type RingServer } from './maglev.ts';
export { DRAWS, takeSeats } from './seats.ts';
export { quotas, wrrSequence } from './wrr.ts';
