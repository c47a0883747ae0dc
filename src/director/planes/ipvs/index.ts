export { IpvsPlane, type IpvsPlaneOptions } from './driver.ts';
export { syncFindings } from './findings.ts';
export { fileLedger, type Ledger } from './ledger.ts';
export type { LvsCounters, LvsServerRow, LvsServiceRow } from './rows.ts';
