export { PROXY_DEFAULTS, type ProxyOptions, ProxyPlane } from './plane.ts';
export type { HeaderKind } from './service.ts';
