export { BFD_DEFAULT_TTL, BFD_DEFAULTS, type BfdInstance, sameSession } from './config.ts';
export { describeDiagnostic, describeState } from './describe.ts';
export { BfdDriver, type BfdListener, type BfdPorts, type BfdStatus } from './driver.ts';
export { detectionTime, type Session } from './machine.ts';
