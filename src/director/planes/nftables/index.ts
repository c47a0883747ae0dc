export { requestsOf, type TableCommand } from './command.ts';
export { describeCommands } from './describe.ts';
export { generationOf } from './generation.ts';
export { errnoText, KernelTable } from './kernel.ts';
export { fingerprint, foundFingerprint, foundOf, planTable, type TableFound, type TablePlan } from './plan.ts';
export {
  addressWords,
  differs,
  equals,
  goto,
  hookOf,
  jump,
  load,
  lookup,
  masked,
  onlyEthernet,
  onlyFamily,
  onlyOthers,
  onlyProtocol,
  verdict,
} from './rules.ts';
export {
  type ChainSpec,
  type ElementSpec,
  type Field,
  nativeBytes,
  type RuleSpec,
  readElement,
  readValues,
  type SetSpec,
  type TableName,
  type TableSpec,
  type Value,
  valueBytes,
} from './spec.ts';
