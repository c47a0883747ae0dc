export { metadataCodecs } from './metadata/codecs.ts';
export * from './metadata/index.ts';
