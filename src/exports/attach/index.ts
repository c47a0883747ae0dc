export { ClientHandshake, type ClientOutcome, type Offer } from './client.ts';
export { Holder } from './holder.ts';
export { KernelNbd } from './kernel.ts';
export { Link } from './link.ts';
export { type AttachEvent, type Attachment, attachStep, CONNECTING } from './machine.ts';
export {
  backendOf,
  blockSizeOf,
  chooseWay,
  explainUses,
  firstSetup,
  isDeviceName,
  type Means,
  mountsOf,
  nextSetup,
  oddSize,
  type Way,
} from './plan.ts';
