export * from './machine/index.ts';
export { metadataCodecs } from './metadata/codecs.ts';
export * from './metadata/index.ts';
export * from './status.ts';
