/** An ordinary instance with keepalived's defaults, to be changed where it matters: for tests and the simulator. */
import { type IpAddress, us } from '../base/index.ts';
import type { Instance, SyncGroup, Tracks, VrrpConfig, WantedAddress } from './config.ts';

const NO_TRACKS: Tracks = { interfaces: [], scripts: [], processes: [], files: [], bfds: [] };

export const exampleAddress = (address: string, length: number, name = 'eth0'): WantedAddress => ({
  prefix: { address: address as IpAddress, length },
  interface: name,
  interfaceGiven: false,
  tracking: { kind: 'follow' },
});

export function exampleInstance(changes: Partial<Instance> = {}): Instance {
  return {
    name: 'VI_1',
    interface: 'eth0',
    virtualRouterId: 51,
    version: 2,
    family: 4,
    priority: 100,
    wantsMaster: false,
    advertInterval: us(1_000_000),
    downTimerAdverts: 3,
    preempt: true,
    preemptDelay: us(0),
    authentication: { type: 'none' },
    addresses: [exampleAddress('10.0.0.100', 24)],
    excluded: [],
    routes: [],
    rules: [],
    unicastPeers: undefined,
    faultWithoutPeer: false,
    multicastGroup: '224.0.0.18' as IpAddress,
    checkUnicastSource: false,
    trackSourceAddress: false,
    oldUnicastChecksum: 'auto',
    v3ChecksumAsV2: false,
    links: [],
    vmacForAddresses: false,
    vmacXmitBase: false,
    promoteSecondaries: false,
    tracks: NO_TRACKS,
    trackPrimary: true,
    accept: true,
    strict: false,
    skipCheckAdvAddr: false,
    garp: {
      masterDelay: us(5_000_000),
      masterRepeat: 5,
      masterRefresh: us(0),
      masterRefreshRepeat: 1,
      lowerPrioDelay: us(5_000_000),
      lowerPrioRepeat: 5,
    },
    lowerPrioNoAdvert: false,
    higherPrioSendAdvert: true,
    ownerIgnoreAdverts: false,
    notify: {},
    notifyPriorityChanges: false,
    smtpAlert: false,
    ...changes,
  };
}

export const exampleGroup = (members: readonly string[], changes: Partial<SyncGroup> = {}): SyncGroup => ({
  name: 'VG_1',
  members,
  tracks: NO_TRACKS,
  trackingWeight: false,
  notify: {},
  notifyPriorityChanges: false,
  smtpAlert: false,
  ...changes,
});

export function exampleConfig(instances: readonly Instance[], changes: Partial<VrrpConfig> = {}): VrrpConfig {
  return {
    routerId: 'host',
    instances,
    groups: [],
    scripts: [],
    processes: [],
    files: [],
    statics: { addresses: [], routes: [], rules: [] },
    trackGroups: [],
    garpGroups: [],
    garpInterval: us(0),
    gnaInterval: us(0),
    minGarp: false,
    filter: { table: 'holdfast_vrrp', priority: -1 },
    disableLocalIgmp: false,
    startupDelay: us(0),
    delayAfterBoot: us(0),
    interfaceDelays: [],
    linkbeat: [],
    linkbeatPolling: false,
    dynamicInterfaces: 'no',
    logUnknownVrids: false,
    fifos: [],
    fifoStatesOnReload: false,
    mail: { to: [], from: '', server: undefined, helo: '', connectTimeout: us(30_000_000), onFault: true },
    scriptSecurity: false,
    supplementaryGroups: false,
    ...changes,
  };
}
