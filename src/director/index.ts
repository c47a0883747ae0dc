export type * from './check.ts';
export type {
  CheckConnection,
  Checker,
  CheckTiming,
  DirectorConfig,
  DirectorScript,
  DnsType,
  Forwarding,
  GroupMember,
  PoolOptions,
  Protocol,
  RealServer,
  Scheduler,
  SchedulerFlag,
  SorryServer,
  SyncDaemon,
  UrlCheck,
  VirtualServer,
  VirtualServerGroup,
  VirtualService,
} from './config.ts';
export { Director, type DirectorMemory, type DirectorOptions, type DirectorPorts } from './driver.ts';
export { type InstanceView, type PoolNotification, serverKey, serviceKey } from './pool/index.ts';
export { maglev, NOBODY, RING_SIZES, type RingServer, wrrSequence } from './ring/index.ts';
export type { CheckStatus, DirectorStatus, ServerStatus, ServiceStatus } from './status.ts';
export type * from './types.ts';
