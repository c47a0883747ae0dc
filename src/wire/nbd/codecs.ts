import { decodeChunk, encodeChunk, type NbdChunk } from './chunks.ts';
import { NBD_CHUNK } from './constants.ts';
import {
  decodeGreeting,
  decodeOption,
  decodeOptionReply,
  encodeGreeting,
  encodeOption,
  encodeOptionReply,
} from './handshake.ts';
import {
  decodeContext,
  decodeContextRequest,
  decodeInfo,
  decodeInfoRequest,
  decodeListed,
  encodeContext,
  encodeContextRequest,
  encodeInfo,
  encodeInfoRequest,
  encodeListed,
} from './options.ts';
import { decodeReplyHeader, decodeRequest, encodeReplyHeader, encodeRequest } from './transmission.ts';

const chunkTypes = Object.entries(NBD_CHUNK);

/** For the registry that the round-trip and hostile-bytes tests walk. */
export const nbdCodecs = [
  { name: 'nbd greeting', decode: decodeGreeting, encode: encodeGreeting },
  { name: 'nbd option', decode: decodeOption, encode: encodeOption },
  { name: 'nbd option reply', decode: decodeOptionReply, encode: encodeOptionReply },
  { name: 'nbd info request', decode: decodeInfoRequest, encode: encodeInfoRequest },
  { name: 'nbd context request', decode: decodeContextRequest, encode: encodeContextRequest },
  { name: 'nbd info', decode: decodeInfo, encode: encodeInfo },
  { name: 'nbd listed export', decode: decodeListed, encode: encodeListed },
  { name: 'nbd context', decode: decodeContext, encode: encodeContext },
  { name: 'nbd request', decode: decodeRequest, encode: encodeRequest },
  { name: 'nbd reply header', decode: decodeReplyHeader, encode: encodeReplyHeader },
  ...chunkTypes.map(([name, type]) => ({
    name: `nbd chunk ${name}`,
    decode: (b: Uint8Array) => decodeChunk(type, b),
    encode: (c: NbdChunk) => encodeChunk(c),
  })),
] as const;
