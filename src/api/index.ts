export type { ControlRequest, InstanceStatus, StatusDocument, TrackerStatus, Transition } from './status.ts';
