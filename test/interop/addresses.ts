/** Which host holds which address, and since when, as each host's kernel tells it: seen beside the daemons, never from their own words. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Microseconds } from '../../src/base/index.ts';
import { type Host, now, type Program } from '../../src/lab/index.ts';

/** From..to on the monotonic clock that all hosts share; `to` is open while it lasts. */
export type Held = { readonly host: string; readonly from: Microseconds; readonly to: Microseconds | undefined };

/** `3: eth0    inet 10.9.0.50/32 scope global eth0 ...`, with `Deleted` in front when it goes. */
const CHANGE = /^(Deleted )?\d+: \S+\s+inet6? (\S+?)(?:\/\d+)?\s/;

const SIGN = '127.255.255.254';

/** Follows `ip monitor address` in every host it is told of. */
export class AddressBook {
  readonly #held = new Map<string, Held[]>();
  readonly #monitors = new Map<string, Program>();
  readonly #listeners = new Set<() => void>();

  /** To be called after each power on, before anything that adds addresses is started. */
  async follow(host: Host): Promise<void> {
    const since = now();
    const monitor = host.spawn(['ip', '-o', 'monitor', 'address']);
    this.#monitors.set(host.name, monitor);
    monitor.onLine((l) => {
      const change = CHANGE.exec(l.text);
      if (change) this.#note(host.name, change[2] as string, change[1] === undefined, l.at);
    });
    void monitor.exited.then(() => this.#lost(host.name, monitor));
    // It does not say when it has begun to listen: it is shown a sign until it reports it.
    const seen = (): boolean => this.history(SIGN).some((h) => h.host === host.name && h.from >= since);
    for (let tries = 0; tries < 200 && !seen(); tries++)
      await host.run(['sh', '-c', `ip address add ${SIGN}/32 dev lo; ip address delete ${SIGN}/32 dev lo`]);
    if (!seen()) throw new Error(`ip monitor in ${host.name} reports nothing`);
  }

  /** Hosts that hold it now, in alphabetical order. */
  holders(address: string): readonly string[] {
    return (this.#held.get(address) ?? [])
      .filter((h) => h.to === undefined)
      .map((h) => h.host)
      .sort();
  }

  /** Everything that was ever held, oldest first. */
  history(address: string): readonly Held[] {
    return this.#held.get(address) ?? [];
  }

  /** How long, in microseconds, two or more hosts held it at the same time, counted from `since`. */
  overlap(address: string, since: Microseconds): number {
    const end = now();
    const edges = this.history(address).flatMap((h) => [
      { at: Math.max(h.from, since), by: 1 },
      { at: Math.max(h.to ?? end, since), by: -1 },
    ]);
    edges.sort((a, b) => a.at - b.at || a.by - b.by);
    let holding = 0;
    let last = 0;
    let total = 0;
    for (const e of edges) {
      if (holding > 1) total += e.at - last;
      holding += e.by;
      last = e.at;
    }
    return total;
  }

  /** Changes of any address since `since`, newest last: an empty list is what a reload without a flap leaves. */
  changesSince(since: Microseconds): readonly string[] {
    const found: string[] = [];
    for (const [address, all] of this.#held)
      for (const h of address === SIGN ? [] : all) {
        if (h.from >= since) found.push(`${h.host} + ${address}`);
        if (h.to !== undefined && h.to >= since) found.push(`${h.host} - ${address}`);
      }
    return found;
  }

  /** Resolves when it holds, which is looked at after every change and now and then; rejects with what was expected. */
  async until(holds: () => boolean, withinMs: number, expected: () => string): Promise<void> {
    const deadline = now() + withinMs * 1000;
    while (!holds()) {
      if (now() > deadline) throw new Error(`within ${withinMs} ms: ${expected()}`);
      let stop = (): void => {};
      await Promise.race([sleep(20), new Promise<void>((resolve) => (stop = this.onChange(resolve)))]);
      stop();
    }
  }
  onChange(listen: () => void): () => void {
    this.#listeners.add(listen);
    return () => this.#listeners.delete(listen);
  }

  #note(host: string, address: string, there: boolean, at: Microseconds): void {
    const all = this.#held.get(address) ?? [];
    const open = all.findIndex((h) => h.host === host && h.to === undefined);
    if (there && open < 0) all.push({ host, from: at, to: undefined });
    if (!there && open >= 0) all[open] = { ...(all[open] as Held), to: at };
    this.#held.set(address, all);
    for (const listen of [...this.#listeners]) listen();
  }

  /** The host has lost its power: nothing is held there any more. */
  #lost(host: string, monitor: Program): void {
    if (this.#monitors.get(host) !== monitor) return;
    const at = now();
    for (const [address, all] of this.#held)
      if (all.some((h) => h.host === host && h.to === undefined)) this.#note(host, address, false, at);
  }
}
