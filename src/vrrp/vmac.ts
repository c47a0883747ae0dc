/**
 * The virtual router's own hardware address (RFC 9568 section 7.3): a macvlan in private mode on the interface, on
 * which the addresses sit and from which adverts leave, so that a switch learns the address with every advert.
 */
import { err, ok, type Result, text } from '../base/index.ts';
import type { HostError, Link, NetCommand, Network } from '../host/index.ts';
import { virtualMac } from '../wire/index.ts';
import type { Instance, WantedAddress } from './config.ts';
import type { Settings } from './settings.ts';

const LONGEST_NAME = 15; // IFNAMSIZ - 1

/** The macvlan that stands for `name` in this instance; undefined: the interface itself. */
export function vmacName(i: Instance, name: string, address?: WantedAddress): string | undefined {
  if (i.vmac && name === i.interface) return i.vmac.name;
  if ((i.vmac && i.vmacForAddresses) || address?.useVmac)
    return `vrrp${i.family === 6 ? '6' : ''}.${i.virtualRouterId}.${name}`.slice(0, LONGEST_NAME);
  return undefined;
}

/** Every interface on which the instance needs one. */
export function vmacsOf(i: Instance): { readonly name: string; readonly on: string }[] {
  const out = new Map<string, string>();
  if (i.vmac && i.interface !== undefined) out.set(i.vmac.name, i.interface);
  for (const a of [...i.addresses, ...i.excluded]) {
    const name = vmacName(i, a.interface, a);
    if (name !== undefined) out.set(name, a.interface);
  }
  return [...out].map(([name, on]) => ({ name, on }));
}

/**
 * The kernel takes the stricter of `all` and of an interface's own filter, so `all` would overrule a macvlan: what it
 * says is given to each interface instead.
 */
function ownReversePathFilters(network: Network, settings: Settings): void {
  const all = settings.get('net/ipv4/conf/all/rp_filter');
  if (all === undefined || all === '0') return;
  for (const name of ['default', ...network.links().map((l) => l.name)]) {
    const own = settings.get(`net/ipv4/conf/${name}/rp_filter`);
    if (own !== undefined && Number(own) < Number(all)) settings.set(`net/ipv4/conf/${name}/rp_filter`, all);
  }
  settings.set('net/ipv4/conf/all/rp_filter', '0');
}

/** Makes it, or takes the one that is there. Undefined while the interface below does not exist. */
export function makeVmac(
  i: Instance,
  vmac: { readonly name: string; readonly on: string },
  network: Network,
  settings: Settings,
): Result<Link | undefined, HostError> {
  if (i.vmac?.kind === 'ipvlan')
    return err({
      code: 'EOPNOTSUPP',
      doing: text('create an ipvlan (use_vmac works)', '创建 ipvlan（可改用 use_vmac）'),
    });
  const lower = network.linkByName(vmac.on);
  if (!lower) return ok(undefined);
  const mac = (i.vmac?.mac ?? virtualMac(i.family, i.virtualRouterId)).toLowerCase();
  const run = (commands: readonly NetCommand[]): HostError | undefined => {
    for (const r of network.apply(commands)) if (!r.ok) return r.error;
    network.drain();
    return undefined;
  };
  const create = (): HostError | undefined => {
    const existing = network.linkByName(vmac.name);
    if (existing && (existing.kind !== 'macvlan' || existing.lower !== lower.ifindex))
      return {
        code: 'EEXIST',
        doing: text(`create the macvlan ${vmac.name} on ${vmac.on}`, `在 ${vmac.on} 上创建 macvlan ${vmac.name}`),
      };
    const mode = i.vmac?.mode ?? 'private';
    const group = i.vmac?.group;
    const spec = { name: vmac.name, lower: lower.ifindex, mac, mode, ...(group === undefined ? {} : { group }) };
    const refused = existing ? undefined : run([{ do: 'macvlan-add', ...spec }]);
    const made = refused ? undefined : network.linkByName(vmac.name);
    // No address of its own: only virtual ones, and those only on the master.
    return made ? run([{ do: 'link-set', ifindex: made.ifindex, noAddressGeneration: true, mac, up: true }]) : refused;
  };
  let failed = create();
  // It was being removed: the kernel says that it is down first, and that it is gone a moment later.
  if (failed?.code === 'ENODEV') {
    network.drain();
    failed = create();
  }
  if (failed) return err(failed);
  if (!network.linkByName(vmac.name)) return ok(undefined);
  ownReversePathFilters(network, settings);
  const set = (device: string, key: string, value: string): void => {
    settings.set(`net/ipv4/conf/${device}/${key}`, value);
  };
  // Two interfaces in one subnet: only the macvlan may answer for what sits on it, and packets may come in by either.
  set(vmac.name, 'arp_ignore', '1');
  set(vmac.name, 'accept_local', '1');
  set(vmac.name, 'rp_filter', '0');
  set(vmac.name, 'promote_secondaries', '1');
  set(vmac.on, 'arp_ignore', '1');
  set(vmac.on, 'arp_filter', '1');
  // Or what the host sends from a virtual address by the interface itself would ask the network with the wrong MAC.
  set(vmac.on, 'arp_announce', '2');
  return ok(network.linkByName(vmac.name));
}
