/** The planes of this host. One that the kernel does not have is left out, and the choice of a plane says so. */
import { fileLedger, IpvsPlane, NftPlane, type Plane, PROXY_DEFAULTS, ProxyPlane } from '../../director/index.ts';
import type { Host } from '../../host/index.ts';
import { type Addon, linuxNetlink, linuxRelays } from '../../host/linux/index.ts';
import { failureText } from '../handover/namespace.ts';

export type PlaneSettings = {
  readonly addon: Addon;
  readonly host: Host;
  readonly proxyHeader: 'none' | 'v1' | 'v2';
  /** What of IPVS's table is ours: below /run, one for each network namespace. */
  readonly ledger: string;
};

export function openPlanes(o: PlaneSettings): readonly Plane[] {
  const { clock, entropy, files, log, network } = o.host;
  const netlink = linuxNetlink(o.addon);
  const planes: Plane[] = [new IpvsPlane({ netlink, ledger: fileLedger(files, o.ledger), log })];
  const nft = NftPlane.open({ netlink, network });
  if (nft.ok) planes.push(nft.value);
  else log.write({ level: 'notice', code: 'director.plane', text: failureText(nft.error) });
  const relays = { clock, entropy, relays: linuxRelays };
  planes.push(new ProxyPlane(relays, { ...PROXY_DEFAULTS, header: o.proxyHeader }));
  return planes;
}
