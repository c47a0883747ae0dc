/**
 * Links where netlink is not to be trusted (`linkbeat_interfaces`, `linkbeat_use_polling`): their carrier is polled. It
 * wraps the real `Network`, so that nobody behind it needs to know.
 */
import { seconds, us } from '../../base/index.ts';
import type { Cancel, Clock, Files, Link, NetChange, Network } from '../../host/index.ts';
import type { VrrpConfig } from '../config.ts';

export type LinkPollConfig = Pick<VrrpConfig, 'linkbeat' | 'linkbeatPolling' | 'instances'>;
export interface PolledNetwork extends Network {
  reload(config: LinkPollConfig): void;
  close(): void;
}

const POLL_EVERY = seconds(1);
const ONE = 0x31;

/**
 * What MII and ethtool polling ask a driver for, the kernel shows as /sys/class/net/NAME/carrier (net-sysfs: it is
 * netif_carrier_ok, which the ethtool link operation returns too). Undefined where it cannot be read: the link is down
 * administratively, or sysfs shows another network namespace.
 */
function carrier(files: Files, name: string): boolean | undefined {
  const bytes = files.read(`/sys/class/net/${name}/carrier`, 2);
  return bytes === undefined || bytes.length === 0 ? undefined : bytes[0] === ONE;
}

export function polledNetwork(
  inner: Network,
  config: LinkPollConfig,
  host: { readonly clock: Clock; readonly files: Files },
): PolledNetwork {
  const watchers = new Set<(c: NetChange) => void>();
  /** What was told last, by name. */
  const told = new Map<string, boolean>();
  let names: ReadonlySet<string> = new Set();
  let stopPolling: Cancel = () => {};

  const shown = (link: Link): Link => {
    if (!names.has(link.name)) return link;
    const up = link.adminUp && (carrier(host.files, link.name) ?? link.up);
    return up === link.up ? link : { ...link, up };
  };
  const map = (link: Link | undefined): Link | undefined => (link === undefined ? undefined : shown(link));
  const tell = (c: NetChange): void => {
    if (c.kind === 'link') told.set(c.link.name, c.link.up);
    for (const w of watchers) w(c);
  };
  const unwatch = inner.watch((c) => tell(c.kind === 'link' ? { kind: 'link', link: shown(c.link) } : c));
  const poll = (): void => {
    for (const name of names) {
      const link = map(inner.linkByName(name));
      if (link !== undefined && told.get(name) !== link.up) tell({ kind: 'link', link });
    }
    stopPolling = host.clock.at(us(host.clock.now() + POLL_EVERY), poll);
  };
  const apply = (c: LinkPollConfig): void => {
    const own = c.linkbeatPolling ? c.instances.flatMap((i) => (i.interface === undefined ? [] : [i.interface])) : [];
    names = new Set([...own, ...c.linkbeat.map((l) => l.interface)]);
    for (const name of names) {
      const link = map(inner.linkByName(name));
      if (link !== undefined) told.set(name, link.up);
    }
    stopPolling();
    stopPolling = names.size === 0 ? () => {} : host.clock.at(us(host.clock.now() + POLL_EVERY), poll);
  };
  apply(config);

  return {
    links: () => inner.links().map(shown),
    linkByName: (name) => map(inner.linkByName(name)),
    linkByIndex: (ifindex) => map(inner.linkByIndex(ifindex)),
    addresses: () => inner.addresses(),
    routes: (o) => inner.routes(o),
    rules: (family) => inner.rules(family),
    neighbours: (ifindex) => inner.neighbours(ifindex),
    apply: (commands) => inner.apply(commands),
    watch: (changed) => {
      watchers.add(changed);
      return () => watchers.delete(changed);
    },
    drain: () => inner.drain(),
    reload: apply,
    close: () => {
      unwatch();
      stopPolling();
    },
  };
}
