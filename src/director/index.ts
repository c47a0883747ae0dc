export type * from './check.ts';
export { type CheckPorts, type RandomBytes, startCheckRunner } from './checkers/index.ts';
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
  ProtocolChecker,
  RealServer,
  Scheduler,
  SchedulerFlag,
  Secret,
  SorryServer,
  SyncDaemon,
  UrlCheck,
  VirtualServer,
  VirtualServerGroup,
  VirtualService,
} from './config.ts';
export { Director, type DirectorMemory, type DirectorOptions, type DirectorPorts } from './driver.ts';
export { exampleCheck, exampleDirector, exampleServer, exampleService, exampleTiming } from './example.ts';
export { PeerLink, type PeerOptions, type PeerPorts, type PeerStatus } from './handoff/index.ts';
export { BpfPlane, type BpfPlaneOptions } from './planes/bpf/index.ts';
export { Guard, type GuardEntry, guardEntries } from './planes/guard/index.ts';
export {
  fileLedger,
  IpvsPlane,
  type IpvsPlaneOptions,
  type Ledger,
  type LvsCounters,
  type LvsServerRow,
  type LvsServiceRow,
  syncFindings,
} from './planes/ipvs/index.ts';
export { NftPlane, type NftPlaneOptions, natFindings } from './planes/nft/index.ts';
export { PROXY_DEFAULTS, type ProxyOptions, ProxyPlane } from './planes/proxy/index.ts';
export {
  type InstanceView,
  matchesOf,
  type PoolNotification,
  type PoolState,
  poolConfig,
  serverKey,
  serviceKey,
} from './pool/index.ts';
export {
  judge,
  judgeRealServer,
  type ProbeFinding,
  type ProbeServer,
  type ProbeTarget,
  probe,
} from './probe/index.ts';
export { covers } from './reach.ts';
export {
  Decapsulator,
  type DecapsulatorWanted,
  describeRealServerStep,
  RealServerAgent,
  type RealServerFound,
  type RealServerOptions,
  type RealServerPorts,
  type RealServerStep,
  type RealServerWanted,
  realServerPlan,
  realServerScript,
  type Tunnel,
} from './realserver/index.ts';
export { maglev, NOBODY, RING_SIZES, type RingServer, wrrSequence } from './ring/index.ts';
export type { CheckStatus, DirectorStatus, ServerStatus, ServiceStatus } from './status.ts';
export type * from './types.ts';
