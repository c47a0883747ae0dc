/**
 * A bpf plane in a process of its own, inside a lab's host: takes one JSON command a line, answers one a line.
 * Argument: JSON of the options.
 */
import { createInterface } from 'node:readline';
import { BpfPlane, type BpfPlaneOptions } from '../../src/director/planes/bpf/index.ts';
import type { Wanted } from '../../src/director/types.ts';
import { linuxBpf, linuxLog, linuxNetlink, loadAddon, openNetwork } from '../../src/host/linux/index.ts';

export type PlaneCommand =
  | { readonly do: 'apply'; readonly wanted: Wanted }
  | { readonly do: 'refuses'; readonly wanted: Wanted }
  | { readonly do: 'counters' | 'tick' }
  | { readonly do: 'close'; readonly keep: boolean };

function must<T>(r: { ok: true; value: T } | { ok: false; error: unknown }): T {
  if (!r.ok) throw new Error(JSON.stringify(r.error));
  return r.value;
}
const options = JSON.parse(process.argv[2] ?? '{}') as Partial<BpfPlaneOptions>;
const addon = must(loadAddon());
const log = linuxLog(addon, { language: 'en', least: 'notice', console: { fd: 2, details: true } });
const network = must(openNetwork(addon, log));
const netlink = linuxNetlink(addon);
const plane = new BpfPlane({
  folder: '/run/holdfast-bpf',
  ...options,
  bpf: must(linuxBpf(netlink)),
  network,
  netlink,
  log,
});

function answer(c: PlaneCommand): unknown {
  switch (c.do) {
    case 'apply': {
      const from = process.hrtime.bigint();
      const outcomes = plane.apply(c.wanted);
      return { microseconds: Number((process.hrtime.bigint() - from) / 1000n), outcomes };
    }
    case 'refuses':
      return c.wanted.services.map((s) => plane.refuses(s)?.code);
    case 'counters':
      return must(plane.counters());
    case 'tick':
      return plane.tick();
    case 'close':
      plane.close({ keep: c.keep });
      setImmediate(() => process.exit(0));
      return undefined;
  }
}
for await (const line of createInterface(process.stdin))
  process.stdout.write(`answer ${JSON.stringify(answer(JSON.parse(line) as PlaneCommand) ?? null)}\n`);
