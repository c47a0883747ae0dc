/** The 32-bit state word of P_STATE and of state changes. The numbers are on the wire, and their order carries meaning. */
export const DRBD_ROLES = ['Unknown', 'Primary', 'Secondary'] as const;
export const DRBD_CONNECTIONS = [
  'StandAlone',
  'Disconnecting',
  'Unconnected',
  'Timeout',
  'BrokenPipe',
  'NetworkFailure',
  'ProtocolError',
  'TearDown',
  'WFConnection',
  'WFReportParams',
  'Connected',
  'StartingSyncS',
  'StartingSyncT',
  'WFBitMapS',
  'WFBitMapT',
  'WFSyncUUID',
  'SyncSource',
  'SyncTarget',
  'VerifyS',
  'VerifyT',
  'PausedSyncS',
  'PausedSyncT',
  'Ahead',
  'Behind',
] as const;
export const DRBD_DISKS = [
  'Diskless',
  'Attaching',
  'Failed',
  'Negotiating',
  'Inconsistent',
  'Outdated',
  'DUnknown',
  'Consistent',
  'UpToDate',
] as const;
export type DrbdRole = (typeof DRBD_ROLES)[number];
export type DrbdConnection = (typeof DRBD_CONNECTIONS)[number];
export type DrbdDisk = (typeof DRBD_DISKS)[number];

const CONNECTED: ReadonlySet<DrbdConnection> = new Set(DRBD_CONNECTIONS.slice(DRBD_CONNECTIONS.indexOf('Connected')));
/** Connected, or beyond: both sides have told each other what they are. */
export const isDrbdConnected = (c: DrbdConnection): boolean => CONNECTED.has(c);

/** The fields as numbers: any word has them, whether or not a name belongs to each. */
export type StateFields = {
  readonly role: number;
  readonly peer: number;
  readonly connection: number;
  readonly disk: number;
  readonly peerDisk: number;
  readonly suspended: boolean;
  readonly afterDependencyPaused: boolean;
  readonly peerPaused: boolean;
  readonly userPaused: boolean;
  readonly suspendedNoData: boolean;
  readonly suspendedFencing: boolean;
};
/** Where each field begins and how many bits it has: role 2, peer 2, conn 5, disk 4, pdsk 4, then six flags. */
export const STATE_BITS = {
  role: [0, 2],
  peer: [2, 2],
  connection: [4, 5],
  disk: [9, 4],
  peerDisk: [13, 4],
} as const satisfies Record<string, readonly [number, number]>;

const bits = (word: number, [at, count]: readonly [number, number]): number => (word >>> at) & ((1 << count) - 1);

export const decodeState = (word: number): StateFields => ({
  role: bits(word, STATE_BITS.role),
  peer: bits(word, STATE_BITS.peer),
  connection: bits(word, STATE_BITS.connection),
  disk: bits(word, STATE_BITS.disk),
  peerDisk: bits(word, STATE_BITS.peerDisk),
  suspended: (word & 0x2_0000) !== 0,
  afterDependencyPaused: (word & 0x4_0000) !== 0,
  peerPaused: (word & 0x8_0000) !== 0,
  userPaused: (word & 0x10_0000) !== 0,
  suspendedNoData: (word & 0x20_0000) !== 0,
  suspendedFencing: (word & 0x40_0000) !== 0,
});
/** The nine unused bits are zero. */
export const encodeState = (s: StateFields): number =>
  (s.role |
    (s.peer << 2) |
    (s.connection << 4) |
    (s.disk << 9) |
    (s.peerDisk << 13) |
    (s.suspended ? 0x2_0000 : 0) |
    (s.afterDependencyPaused ? 0x4_0000 : 0) |
    (s.peerPaused ? 0x8_0000 : 0) |
    (s.userPaused ? 0x10_0000 : 0) |
    (s.suspendedNoData ? 0x20_0000 : 0) |
    (s.suspendedFencing ? 0x40_0000 : 0)) >>>
  0;

const nameOf = (names: readonly string[], n: number): string => names[n] ?? `${n}`;
const FLAGS = [
  ['suspended', 'susp'],
  ['afterDependencyPaused', 'aftr_isp'],
  ['peerPaused', 'peer_isp'],
  ['userPaused', 'user_isp'],
  ['suspendedNoData', 'susp_nod'],
  ['suspendedFencing', 'susp_fen'],
] as const;

/** `cs:Connected ro:Secondary/Primary ds:UpToDate/UpToDate`, and the flags that are set by their short names. */
export function describeState(word: number): string {
  const s = decodeState(word);
  const flags = FLAGS.filter(([field]) => s[field]).map(([, name]) => ` ${name}`);
  return (
    `cs:${nameOf(DRBD_CONNECTIONS, s.connection)} ro:${nameOf(DRBD_ROLES, s.role)}/${nameOf(DRBD_ROLES, s.peer)} ` +
    `ds:${nameOf(DRBD_DISKS, s.disk)}/${nameOf(DRBD_DISKS, s.peerDisk)}${flags.join('')}`
  );
}

/** Only the fields that `mask` touches: `ro:Primary`, `cs:Disconnecting`. Bits of no field stay a number. */
export function describeChange(mask: number, value: number): string {
  const names = {
    role: DRBD_ROLES,
    peer: DRBD_ROLES,
    connection: DRBD_CONNECTIONS,
    disk: DRBD_DISKS,
    peerDisk: DRBD_DISKS,
  };
  const labels = { role: 'ro', peer: 'peer', connection: 'cs', disk: 'ds', peerDisk: 'pdsk' };
  const out: string[] = [];
  let rest = mask;
  for (const [field, place] of Object.entries(STATE_BITS) as [keyof typeof STATE_BITS, readonly [number, number]][]) {
    if (bits(mask, place) === 0) continue;
    rest &= ~(((1 << place[1]) - 1) << place[0]);
    out.push(`${labels[field]}:${nameOf(names[field], bits(value, place))}`);
  }
  FLAGS.forEach(([, name], i) => {
    const bit = 0x2_0000 << i;
    if ((mask & bit) === 0) return;
    rest &= ~bit;
    out.push(`${name}:${(value & bit) !== 0 ? 1 : 0}`);
  });
  if (rest !== 0) out.push(`0x${(rest >>> 0).toString(16)}`);
  return out.join(' ');
}
