export { type IpvsadmHead, type IpvsadmView, renderIpvsadm } from './ipvsadm.ts';
export type {
  LbAnswer,
  LbCheck,
  LbCounters,
  LbDocument,
  LbFinding,
  LbMatch,
  LbPeer,
  LbRequest,
  LbServer,
  LbService,
} from './lb.ts';
export type {
  MirrorAdjustChange,
  MirrorAdjustment,
  MirrorAnswer,
  MirrorAsk,
  MirrorCounters,
  MirrorDifferences,
  MirrorDocument,
  MirrorReason,
  MirrorRefusal,
  MirrorRequest,
  MirrorStatus,
  SyncProgress,
  UndoStatus,
  VolumeDifferences,
  VolumeStatus,
} from './mirror.ts';
export { MIRROR_SOCKET } from './mirror.ts';
export { MIRROR_FOLDER, mirrorPaths } from './mirror-paths.ts';
export type { ControlRequest, InstanceStatus, StatusDocument, TrackerStatus, Transition } from './status.ts';
