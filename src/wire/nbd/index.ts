export * from './chunks.ts';
export { nbdCodecs } from './codecs.ts';
export * from './constants.ts';
export * from './handshake.ts';
export * from './options.ts';
export { nbdBytes, nbdString } from './strings.ts';
export * from './transmission.ts';
