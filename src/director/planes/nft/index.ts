export { NftPlane, type NftPlaneOptions } from './plane.ts';
