/** The planes that this kernel offers. One that it does not is not opened, and the choice of a plane says so. */
import { type Plane, PROXY_DEFAULTS, ProxyPlane } from '../../director/index.ts';
import type { Host } from '../../host/index.ts';
import { type Addon, linuxRelays } from '../../host/linux/index.ts';

export type PlaneSettings = {
  readonly addon: Addon;
  readonly host: Host;
  readonly proxyHeader: 'none' | 'v1' | 'v2';
};

export function openPlanes(o: PlaneSettings): readonly Plane[] {
  const { clock, entropy } = o.host;
  const proxy = new ProxyPlane({ clock, entropy, relays: linuxRelays }, { ...PROXY_DEFAULTS, header: o.proxyHeader });
  return [proxy];
}
