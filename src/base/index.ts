export { invariant, unreachable } from './assert.ts';
export { ByteReader, ByteWriter } from './bytes.ts';
export { internetChecksum } from './checksum.ts';
export { crc32c, crc32cRaw } from './crc32c.ts';
export { cellWidth, type Diagnostic, type Place, renderDiagnostic } from './diagnostic.ts';
export {
  compareIp,
  type Family,
  familyOf,
  formatEndpoint,
  formatPrefix,
  hostLength,
  type IpAddress,
  type IpPrefix,
  ip4Number,
  ipBytes,
  ipFromBytes,
  isLinkLocal,
  isMulticast,
  parseIp,
} from './ip.ts';
export { Random } from './random.ts';
export { err, ok, type Result } from './result.ts';
export { SpareMemory } from './spare-memory.ts';
export { type Language, languageOf, type Text, text, verbatim } from './text.ts';
export {
  type Brand,
  type Bytes,
  bytes,
  formatSeconds,
  type Microseconds,
  type Milliseconds,
  ms,
  seconds,
  us,
} from './units.ts';
