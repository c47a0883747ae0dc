export { describeDrbdConf, describeDrbdResource } from './describe.ts';
export { dryRunUp } from './dry-run.ts';
export type { DrbdResource } from './mirror.ts';
export { OPTION_ROWS, type OptionRow } from './options.ts';
export { type DrbdConfig, type DrbdReadOptions, type DrbdResult, readDrbdConf } from './reader.ts';
