export type {
  BufferSettings,
  GlobalConfig,
  KeepalivedConfig,
  ProcessSettings,
  SnmpSettings,
} from './keepalived/config.ts';
export { type FileSource, type ReadOptions, type ReadResult, readKeepalivedConf } from './keepalived/reader.ts';
