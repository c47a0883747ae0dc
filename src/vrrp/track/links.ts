/**
 * Links as the router is to see them: a change of `up` must last (`interface_up_down_delays`), and where netlink is not
 * to be trusted the carrier is polled (`linkbeat_interfaces`, `linkbeat_use_polling`). It wraps the real `Network`, so
 * that nobody behind it needs to know.
 */
import { type Microseconds, seconds, us } from '../../base/index.ts';
import type { Cancel, Clock, Files, Link, NetChange, Network } from '../../host/index.ts';
import type { VrrpConfig } from '../config.ts';
import { type DebounceState, initialDebounce, stepDebounce } from './debounce.ts';

export type LinkWatchConfig = Pick<VrrpConfig, 'interfaceDelays' | 'linkbeat' | 'linkbeatPolling' | 'instances'>;
export interface SettledNetwork extends Network {
  reload(config: LinkWatchConfig): void;
  close(): void;
}

const POLL_EVERY = seconds(1);

/**
 * What MII and ethtool polling ask a driver for, the kernel shows as /sys/class/net/NAME/carrier (net/core: it is
 * netif_carrier_ok, what the ethtool link operation returns). Undefined where it cannot be read: the link is down
 * administratively, or sysfs shows another namespace.
 */
const carrier = (files: Files, name: string): boolean | undefined => {
  const bytes = files.read(`/sys/class/net/${name}/carrier`, 2);
  return bytes === undefined ? undefined : bytes[0] === 0x31;
};

export function settledNetwork(
  inner: Network,
  config: LinkWatchConfig,
  host: { readonly clock: Clock; readonly files: Files },
): SettledNetwork {
  const { clock, files } = host;
  const settled = new Map<number, { link: Link; state: DebounceState; cancel: Cancel }>();
  const watchers = new Set<(c: NetChange) => void>();
  let now = config;
  let stopPolling: Cancel = () => {};

  const delays = (name: string): { readonly up: Microseconds; readonly down: Microseconds } =>
    now.interfaceDelays.find((d) => d.interface === name) ?? { up: us(0), down: us(0) };
  const polled = (name: string): boolean =>
    now.linkbeat.some((l) => l.interface === name) ||
    (now.linkbeatPolling && now.instances.some((i) => i.interface === name));
  const signal = (link: Link): boolean =>
    polled(link.name) ? link.adminUp && (carrier(files, link.name) ?? link.up) : link.up;
  const shown = (link: Link): Link => {
    const up = settled.get(link.ifindex)?.state.believed ?? signal(link);
    return up === link.up ? link : { ...link, up };
  };
  const tell = (c: NetChange): void => {
    for (const w of watchers) w(c);
  };

  /** Takes in what a link is now; true where the believed state turned. */
  const take = (link: Link): boolean => {
    const old = settled.get(link.ifindex);
    old?.cancel();
    const before = old?.state ?? initialDebounce(signal(link));
    const state = stepDebounce(delays(link.name), before, signal(link), clock.now());
    const again = (): void => {
      const current = settled.get(link.ifindex)?.link;
      if (current && take(current)) tell({ kind: 'link', link: shown(current) });
    };
    const cancel = state.turnsAt === undefined ? () => {} : clock.at(state.turnsAt, again);
    settled.set(link.ifindex, { link, state, cancel });
    return state.believed !== before.believed;
  };
  const readAll = (): void => {
    const present = new Set<number>();
    for (const link of inner.links()) {
      present.add(link.ifindex);
      take(link);
    }
    for (const [ifindex, s] of settled)
      if (!present.has(ifindex)) {
        s.cancel();
        settled.delete(ifindex);
      }
  };
  const unwatch = inner.watch((c) => {
    if (c.kind === 'link') {
      take(c.link);
      tell({ kind: 'link', link: shown(c.link) });
      return;
    }
    if (c.kind === 'link-gone') {
      settled.get(c.link.ifindex)?.cancel();
      settled.delete(c.link.ifindex);
    } else if (c.kind === 'resync') readAll();
    tell(c);
  });
  const poll = (): void => {
    for (const { link } of [...settled.values()])
      if (polled(link.name) && take(link)) tell({ kind: 'link', link: shown(link) });
    stopPolling = clock.at(us(clock.now() + POLL_EVERY), poll);
  };
  const apply = (c: LinkWatchConfig): void => {
    now = c;
    readAll();
    stopPolling();
    stopPolling = c.linkbeatPolling || c.linkbeat.length > 0 ? clock.at(us(clock.now() + POLL_EVERY), poll) : () => {};
  };
  apply(config);

  const map = (l: Link | undefined): Link | undefined => (l === undefined ? undefined : shown(l));
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
      for (const s of settled.values()) s.cancel();
    },
  };
}
