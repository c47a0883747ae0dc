/** The packet catalogue of DRBD protocol 86 to 101: numbers, names, and the socket that each packet travels on. */

/** In numeric order. The two retired commands 0x05 and 0x06, and those of DRBD 9 (never below protocol 110), are unknown. */
export const DRBD_COMMAND = {
  P_DATA: 0x00,
  P_DATA_REPLY: 0x01,
  P_RS_DATA_REPLY: 0x02,
  P_BARRIER: 0x03,
  P_BITMAP: 0x04,
  P_UNPLUG_REMOTE: 0x07,
  P_DATA_REQUEST: 0x08,
  P_RS_DATA_REQUEST: 0x09,
  P_SYNC_PARAM: 0x0a,
  P_PROTOCOL: 0x0b,
  P_UUIDS: 0x0c,
  P_SIZES: 0x0d,
  P_STATE: 0x0e,
  P_SYNC_UUID: 0x0f,
  P_AUTH_CHALLENGE: 0x10,
  P_AUTH_RESPONSE: 0x11,
  P_STATE_CHG_REQ: 0x12,
  P_PING: 0x13,
  P_PING_ACK: 0x14,
  P_RECV_ACK: 0x15,
  P_WRITE_ACK: 0x16,
  P_RS_WRITE_ACK: 0x17,
  P_SUPERSEDED: 0x18,
  P_NEG_ACK: 0x19,
  P_NEG_DREPLY: 0x1a,
  P_NEG_RS_DREPLY: 0x1b,
  P_BARRIER_ACK: 0x1c,
  P_STATE_CHG_REPLY: 0x1d,
  P_OV_REQUEST: 0x1e,
  P_OV_REPLY: 0x1f,
  P_OV_RESULT: 0x20,
  P_CSUM_RS_REQUEST: 0x21,
  P_RS_IS_IN_SYNC: 0x22,
  P_SYNC_PARAM89: 0x23,
  P_COMPRESSED_BITMAP: 0x24,
  P_DELAY_PROBE: 0x27,
  P_OUT_OF_SYNC: 0x28,
  P_RS_CANCEL: 0x29,
  P_CONN_ST_CHG_REQ: 0x2a,
  P_CONN_ST_CHG_REPLY: 0x2b,
  P_RETRY_WRITE: 0x2c,
  P_PROTOCOL_UPDATE: 0x2d,
  P_TRIM: 0x31,
  P_RS_THIN_REQ: 0x32,
  P_RS_DEALLOCATED: 0x33,
  P_WSAME: 0x34,
  P_ZEROES: 0x36,
  P_INITIAL_META: 0xfff1,
  P_INITIAL_DATA: 0xfff2,
  P_CONNECTION_FEATURES: 0xfffe,
} as const;
export type DrbdKind = keyof typeof DRBD_COMMAND;

/** Requests, payload, parameters and state; or acknowledgements, pings and answers to state changes. */
export type DrbdSocket = 'data' | 'meta';

const META: ReadonlySet<DrbdKind> = new Set<DrbdKind>([
  'P_PING',
  'P_PING_ACK',
  'P_RECV_ACK',
  'P_WRITE_ACK',
  'P_RS_WRITE_ACK',
  'P_SUPERSEDED',
  'P_NEG_ACK',
  'P_NEG_DREPLY',
  'P_NEG_RS_DREPLY',
  'P_BARRIER_ACK',
  'P_STATE_CHG_REPLY',
  'P_OV_RESULT',
  'P_RS_IS_IN_SYNC',
  'P_RS_CANCEL',
  'P_CONN_ST_CHG_REPLY',
  'P_RETRY_WRITE',
  'P_INITIAL_META',
]);

const BY_NUMBER: ReadonlyMap<number, DrbdKind> = new Map(
  (Object.entries(DRBD_COMMAND) as [DrbdKind, number][]).map(([kind, number]) => [number, kind]),
);

export const drbdKindOf = (command: number): DrbdKind | undefined => BY_NUMBER.get(command);

/** Undefined for P_DELAY_PROBE, which may come on either. */
export const drbdSocketOf = (kind: DrbdKind): DrbdSocket | undefined =>
  kind === 'P_DELAY_PROBE' ? undefined : META.has(kind) ? 'meta' : 'data';

/** Packets whose length is bounded by the largest write, not by the 4096 bytes of a parameter packet. */
export const carriesData = (command: number): boolean =>
  command <= DRBD_COMMAND.P_RS_DATA_REPLY || command === DRBD_COMMAND.P_WSAME;
