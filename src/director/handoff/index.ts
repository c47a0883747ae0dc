export { PeerLink, type PeerOptions, type PeerPorts, type PeerStatus } from './driver.ts';
export { Handoff, type HandoffEffect, type HandoffEvent, type HandoffStatus, MOST_EXCEPTIONS } from './machine.ts';
