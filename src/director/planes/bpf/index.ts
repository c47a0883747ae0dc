export { BpfPlane, type BpfPlaneOptions } from './plane.ts';
