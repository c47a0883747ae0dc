export type {
  BufferSettings,
  GlobalConfig,
  KeepalivedConfig,
  ProcessSettings,
  SnmpSettings,
} from './config.ts';
export { describeKeepalivedConf } from './describe.ts';
export { checkAgainstHost, type HostFacts } from './host-check.ts';
export { type ReadOptions, type ReadResult, readKeepalivedConf } from './reader.ts';
export type { FileSource } from './text/includes.ts';
