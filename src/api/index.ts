export { type IpvsadmHead, type IpvsadmView, renderIpvsadm } from './ipvsadm.ts';
export type { ControlRequest, InstanceStatus, StatusDocument, TrackerStatus, Transition } from './status.ts';
