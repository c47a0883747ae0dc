export { natFindings } from './findings.ts';
export { NftPlane, type NftPlaneOptions } from './plane.ts';
