export type {
  BufferSettings,
  GlobalConfig,
  KeepalivedConfig,
  ProcessSettings,
  SnmpSettings,
} from './keepalived/config.ts';
export { describeKeepalivedConf } from './keepalived/describe.ts';
export { checkAgainstHost, type HostFacts } from './keepalived/host-check.ts';
export { type ReadOptions, type ReadResult, readKeepalivedConf } from './keepalived/reader.ts';
export type { FileSource } from './keepalived/text/includes.ts';
export { type LdirectordConfig, type LdirectordResult, readLdirectordCf } from './ldirectord/reader.ts';
