export type * from './config.ts';
export { MIRROR_HANDLERS } from './config.ts';
export * from './create/index.ts';
export * from './machine/index.ts';
export { metadataCodecs } from './metadata/codecs.ts';
export * from './metadata/index.ts';
export * from './resource/index.ts';
export * from './status.ts';
export { type Unsupported, unsupported } from './supported.ts';
