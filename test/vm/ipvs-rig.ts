/** What both files that run inside share: a plane on the real kernel whose messages are counted, and `ipvsadm`. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import type { IpAddress } from '../../src/base/index.ts';
import { fileLedger, IpvsPlane, type Wanted, type WantedServer, type WantedService } from '../../src/director/index.ts';
import type { Netlink } from '../../src/host/index.ts';
import { linuxFiles } from '../../src/host/linux/files.ts';
import { linuxNetlink, loadAddon } from '../../src/host/linux/index.ts';

const addon = loadAddon();
assert.ok(addon.ok);
export const LEDGER = '/run/holdfast-test.ipvs';
/** Requests that change something, and tables read. */
export const told = { changes: 0, dumps: 0 };
const native = addon.value;
const real = linuxNetlink(native);
const netlink: Netlink = {
  open: (family) => {
    const opened = real.open(family);
    if (!opened.ok) return opened;
    const c = opened.value;
    return {
      ok: true,
      value: {
        transact: (r) => {
          told.changes += r.length;
          return c.transact(r);
        },
        batch: (r, s) => c.batch(r, s),
        dump: (r, doing, begin, take) => {
          told.dumps++;
          return c.dump(r, doing, begin, take);
        },
        pieces: (r, doing, take) => c.pieces(r, doing, take),
        ask: (r, doing) => c.ask(r, doing),
        close: () => c.close(),
      },
    };
  },
};
export const said: string[] = [];
const log = { write: (e: { readonly text: { readonly en: string } }) => void said.push(e.text.en) };
export const newPlane = (ledger = LEDGER): IpvsPlane =>
  new IpvsPlane({ netlink, ledger: fileLedger(linuxFiles, ledger), log });
/** Sockets that are opened meanwhile are in this network namespace, and stay there. */
export async function inNamespace<T>(name: string, open: () => T): Promise<T> {
  assert.equal(native.enterNetwork(`/run/netns/${name}`), 0);
  try {
    const opened = open();
    await new Promise((next) => setImmediate(next)); // an outgoing socket is made in the next turn
    return opened;
  } finally {
    assert.equal(native.enterNetwork('/proc/1/ns/net'), 0);
  }
}
export const ipvsadm = (...args: string[]): string => execFileSync('ipvsadm', args, { encoding: 'utf8' });

export const ip = (s: string): IpAddress => s as IpAddress;
export const server = (address: string, port = 80, more: Partial<WantedServer> = {}): WantedServer => ({
  key: `${address}:${port}`,
  address: ip(address),
  port,
  weight: 1,
  forwarding: { method: 'nat' },
  ...more,
});
export const service = (address: string, port: number, more: Partial<WantedService> = {}): WantedService => ({
  key: `tcp ${address}:${port}`,
  match: { by: 'address', protocol: 'tcp', ranges: [{ from: ip(address), to: ip(address) }], port },
  scheduler: 'wrr',
  flags: [],
  onePacket: false,
  servers: [server('10.77.0.2'), server('10.77.0.3', 80, { weight: 3 })],
  ...more,
});
export const wanted = (services: readonly WantedService[], more: Partial<Wanted> = {}): Wanted => ({
  services,
  timeouts: {},
  sync: [],
  ...more,
});
