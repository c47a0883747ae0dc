/** Numbers of the NBD protocol (NetworkBlockDevice/nbd doc/proto.md), by the names used there. */

export const NBD_PORT = 10809;
/** Longest string on the wire, in bytes. */
export const NBD_MAX_STRING = 4096;

export const NBD_MAGIC = {
  /** "NBDMAGIC" */
  greeting: 0x4e42444d41474943n,
  /** "IHAVEOPT" */
  option: 0x49484156454f5054n,
  optionReply: 0x0003e889045565a9n,
  request: 0x25609513,
  extendedRequest: 0x21e41c71,
  simpleReply: 0x67446698,
  chunk: 0x668e33ef,
  extendedChunk: 0x6e8a278c,
} as const;

/** Both the server's and the client's handshake flags. */
export const NBD_HANDSHAKE = { fixedNewstyle: 1, noZeroes: 2 } as const;

export const NBD_OPTION = {
  exportName: 1,
  abort: 2,
  list: 3,
  starttls: 5,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
  extendedHeaders: 11,
} as const;

export const NBD_REPLY = {
  ack: 1,
  server: 2,
  info: 3,
  metaContext: 4,
  unsupported: 0x8000_0001,
  policy: 0x8000_0002,
  invalid: 0x8000_0003,
  platform: 0x8000_0004,
  tlsRequired: 0x8000_0005,
  unknown: 0x8000_0006,
  shutdown: 0x8000_0007,
  blockSizeRequired: 0x8000_0008,
  tooBig: 0x8000_0009,
  extendedHeadersRequired: 0x8000_000a,
} as const;

export const NBD_INFO = { export: 0, name: 1, description: 2, blockSize: 3 } as const;

/** Transmission flags. */
export const NBD_FLAG = {
  hasFlags: 1,
  readOnly: 2,
  flush: 4,
  fua: 8,
  rotational: 0x10,
  trim: 0x20,
  writeZeroes: 0x40,
  df: 0x80,
  canMultiConn: 0x100,
  resize: 0x200,
  cache: 0x400,
  fastZero: 0x800,
  blockStatusPayload: 0x1000,
} as const;

export const NBD_COMMAND = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  writeZeroes: 6,
  blockStatus: 7,
  resize: 8,
} as const;

export const NBD_COMMAND_FLAG = { fua: 1, noHole: 2, df: 4, reqOne: 8, fastZero: 16, payloadLength: 32 } as const;

export const NBD_CHUNK = {
  none: 0,
  offsetData: 1,
  offsetHole: 2,
  blockStatus: 5,
  extendedBlockStatus: 6,
  error: 0x8001,
  errorOffset: 0x8002,
} as const;
export const NBD_CHUNK_DONE = 1;

/** Extents of base:allocation. */
export const NBD_STATE = { hole: 1, zero: 2 } as const;

/** Errors on the wire; whatever else a system says is EINVAL. */
export const NBD_ERROR = {
  none: 0,
  EPERM: 1,
  EIO: 5,
  ENOMEM: 12,
  EINVAL: 22,
  ENOSPC: 28,
  EOVERFLOW: 75,
  ENOTSUP: 95,
  ESHUTDOWN: 108,
} as const;
