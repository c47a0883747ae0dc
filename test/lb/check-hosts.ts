/** What the tests of `holdfast lb check` share: names of hosts, and how to wait for them. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from '../../src/lab/index.ts';

export const [VIP, D, S1, S2] = ['192.168.1.99', '192.168.1.10', '192.168.1.11', '192.168.1.12'];

export const READY = `ip addr add ${VIP}/32 dev lo; sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2`;

export async function sh(h: Host, script: string): Promise<void> {
  const r = await h.run(['sh', '-c', script]);
  assert.equal(r.code, 0, `${script}: ${r.stderr}`);
}
export async function until(what: string, so: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 60_000; !(await so()); await sleep(50))
    assert.ok(performance.now() < end, `waited 60 s in vain: ${what}`);
}
export const host = (last: number) => ({ links: { ens33: { to: 'lan', addresses: [`192.168.1.${last}/24`] } } });
export const server = (address: string, port: number): string => `real_server ${address} ${port} {\n }`;
