/** Configurations with every default filled in, for tests and the simulator: only what matters is named there. */
import { type IpAddress, us } from '../base/index.ts';
import type { Checker, CheckTiming, DirectorConfig, RealServer, VirtualServer } from './config.ts';

export const exampleTiming = (more: Partial<CheckTiming> = {}): CheckTiming => ({
  interval: us(1_000_000),
  retry: 0,
  retryDelay: us(1_000_000),
  warmup: us(0),
  alpha: false,
  logAllFailures: false,
  ...more,
});
export const exampleCheck = (address: string, timing: Partial<CheckTiming> = {}): Checker => ({
  kind: 'tcp',
  timing: exampleTiming(timing),
  connection: { address: address as IpAddress, port: 80, timeout: us(1_000_000) },
});
/** With one TCP check. */
export const exampleServer = (address: string, more: Partial<RealServer> = {}): RealServer => ({
  address: address as IpAddress,
  port: 80,
  weight: 1,
  forwarding: { method: 'direct-routing' },
  inhibitOnFailure: false,
  alpha: false,
  smtpAlert: false,
  checkers: [exampleCheck(address)],
  ...more,
});
/** `tcp 192.168.1.99:80`, wrr, DR. */
export const exampleService = (servers: readonly RealServer[], more: Partial<VirtualServer> = {}): VirtualServer => ({
  service: { by: 'address', address: '192.168.1.99' as IpAddress, port: 80, protocol: 'tcp' },
  scheduler: 'wrr',
  flags: [],
  hashed: false,
  onePacket: false,
  forwarding: { method: 'direct-routing' },
  alpha: false,
  omega: false,
  haSuspend: false,
  quorum: 1,
  hysteresis: 0,
  smtpAlert: false,
  realServers: servers,
  ...more,
});
export const exampleDirector = (
  services: readonly VirtualServer[],
  more: Partial<DirectorConfig> = {},
): DirectorConfig => ({
  virtualServers: services,
  groups: [],
  timeouts: {},
  flushAtStart: false,
  flushAtStop: 'no',
  notifyAtStart: false,
  noCheckerMails: false,
  fifos: [],
  ...more,
});
