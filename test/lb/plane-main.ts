/** A plane in a host of the lab, driven by lines of JSON on standard input; each is answered by one line. */
import { createInterface } from 'node:readline';
import { NftPlane, type NftPlaneOptions } from '../../src/director/planes/nft/index.ts';
import { linuxNetlink, loadAddon, openNetwork } from '../../src/host/linux/index.ts';
import { CT_MSG } from '../../src/wire/index.ts';

const addon = loadAddon();
if (!addon.ok) throw new Error(addon.error.doing.en);
const network = openNetwork(addon.value, { write: () => {} });
if (!network.ok) throw new Error(network.error.doing.en);
const options = JSON.parse(process.argv[2] ?? '{}') as Partial<NftPlaneOptions>;
const opened = NftPlane.open({
  netlink: linuxNetlink(addon.value),
  network: network.value,
  report: (e) => void process.stderr.write(`${e.code}: ${e.doing.en}\n`),
  ...options,
});
if (!opened.ok) throw new Error(opened.error.doing.en);
const plane = opened.value;

const answer = (v: unknown): void => void process.stdout.write(`${JSON.stringify(v)}\n`);
answer('ready');
for await (const line of createInterface({ input: process.stdin })) {
  const { verb, value } = JSON.parse(line);
  network.value.drain();
  if (verb === 'apply') {
    const refused = value.services.flatMap((s: never) => plane.refuses(s) ?? []);
    const start = process.hrtime.bigint();
    const outcomes = plane.apply(value);
    answer({ refused, outcomes, ms: Number(process.hrtime.bigint() - start) / 1e6 });
  } else if (verb === 'counters') answer(plane.counters());
  else if (verb === 'tick') answer(plane.tick() ?? null);
  else if (verb === 'flush-conntrack') {
    // What a director has that takes over: no entry at all.
    const channel = linuxNetlink(addon.value).open('netfilter');
    if (!channel.ok) throw new Error(channel.error.doing.en);
    answer(channel.value.transact([{ type: CT_MSG.delete, flags: 0, write: (w) => w.zeros(4) }]));
    channel.value.close();
  } else if (verb === 'close') {
    plane.close(value);
    answer('closed');
    break;
  }
}
process.exit(0);
