export { DRBD_TEST_DIALECTS, drbdCodecs } from './codecs.ts';
export * from './commands.ts';
export { describePacket } from './describe.ts';
export { digestLengthOf } from './digests.ts';
export { drbdPayload, encodeHead, encodePacket, PUT_ROOM, putHead } from './encode.ts';
export {
  type DrbdHeader,
  decodeHeader,
  HEADER_LENGTH,
  type HeaderForm,
  headerForm,
  sniffHeader,
  writeHeader,
} from './headers.ts';
export { PARAMETER_LIMIT } from './parameters.ts';
export * from './state.ts';
export { DrbdStream, decodePacket, maxBioSize, type Place } from './stream.ts';
export * from './types.ts';
export { decodeRuns, encodeRuns, type Runs, type RunsError, RunWriter, readRuns } from './vli.ts';
