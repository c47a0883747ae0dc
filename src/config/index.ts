export {
  type DrbdConfig,
  type DrbdReadOptions,
  type DrbdResource,
  type DrbdResult,
  describeDrbdConf,
  describeDrbdResource,
  dryRunUp,
  readDrbdConf,
} from './drbd/index.ts';
export { type HoldfastConfig, type HoldfastResult, holdfastJsonSchema, readHoldfastYaml } from './holdfast/index.ts';
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
