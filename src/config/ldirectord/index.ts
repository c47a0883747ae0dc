export { type LdirectordConfig, type LdirectordResult, readLdirectordCf } from './reader.ts';
