/** The planes of this host. One that the kernel does not have is left out, and the choice of a plane says so. */
import { BpfPlane, Guard, IpvsPlane, NftPlane, type Plane, PROXY_DEFAULTS, ProxyPlane } from '../../director/index.ts';
import type { Host, HostError } from '../../host/index.ts';
import { type Addon, linuxBpf, linuxNetlink, linuxRelays } from '../../host/linux/index.ts';
import { failureText } from '../handover/namespace.ts';
import { safeLedger } from './ledger.ts';

export type PlaneSettings = {
  readonly addon: Addon;
  readonly host: Host;
  readonly proxyHeader: 'none' | 'v1' | 'v2';
  /** What of IPVS's table is ours: below /run, one for each network namespace. What bpf pins stands beside it. */
  readonly ledger: string;
  /** `lvs_flush`, and no process before this one: everything in IPVS's table goes, also what others put there. */
  readonly flush: boolean;
};

/** `guard`: shared by the planes, closed behind them; undefined where the kernel has no nf_tables. */
export type Planes = { readonly planes: readonly Plane[]; readonly guard: Guard | undefined };

export function openPlanes(o: PlaneSettings): Planes {
  const { clock, entropy, files, log, network } = o.host;
  const netlink = linuxNetlink(o.addon);
  const lacking = (e: HostError): void => log.write({ level: 'info', code: 'director.plane', text: failureText(e) });
  const opened = Guard.open(netlink);
  if (!opened.ok) lacking(opened.error);
  const guard = opened.ok ? { guard: opened.value } : {};

  const ipvs = new IpvsPlane({ netlink, ledger: safeLedger(files, o.ledger), log });
  if (o.flush) ipvs.flush(); // without ip_vs there is nothing to empty
  const planes: Plane[] = [ipvs];
  const report = (e: HostError): void =>
    log.write({ level: 'warning', code: 'director.nft', text: e.doing, fields: { code: e.code } });
  const sysctl = (name: string): string | undefined => o.host.sysctl.get(name);
  const nft = NftPlane.open({ netlink, network, report, sysctl, ...guard });
  if (nft.ok) planes.push(nft.value);
  else lacking(nft.error);
  const bpf = linuxBpf(netlink);
  const folder = o.ledger.replace(/(\.ipvs)?$/, '.bpf');
  if (bpf.ok) planes.push(new BpfPlane({ bpf: bpf.value, network, netlink, clock, log, folder, ...guard }));
  else lacking(bpf.error);
  const relays = { clock, entropy, relays: linuxRelays };
  planes.push(new ProxyPlane(relays, { ...PROXY_DEFAULTS, header: o.proxyHeader }));
  return { planes, guard: opened.ok ? opened.value : undefined };
}
