/** The standing guard in the kernel: what it holds is what nft lists, and it is taken over without a command. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import type { IpAddress } from '../../src/base/index.ts';
import { GUARD_TABLE, Guard, type GuardEntry, guardSets, planGuard } from '../../src/director/planes/guard/index.ts';
import { describeCommands } from '../../src/director/planes/nftables/index.ts';
import { linuxNetlink, loadAddon } from '../../src/host/linux/index.ts';
import { ownNetwork } from '../../src/host/linux/namespace.fixture.ts';
import { golden } from '../golden/golden.ts';

const entry = (address: string, port: number, protocol = 6): GuardEntry => ({
  address: address as IpAddress,
  protocol,
  port,
});
const four = [entry('192.0.2.1', 80), entry('192.0.2.1', 53, 17), entry('2001:db8::1', 443), entry('192.0.2.9', 0)];
const nft = (...argv: string[]): string => execFileSync('nft', argv, { encoding: 'utf8' });

test('the guard of four services, as nft would take it', (t) => {
  golden(t, 'nftplan-guard', describeCommands(GUARD_TABLE, planGuard(four, undefined).commands, guardSets).join('\n'));
});

test('the guard is put, taken over, changed by one element, and goes with the last service; other tables stay', async (t) => {
  const addon = loadAddon();
  assert.ok(addon.ok);
  if (!(await ownNetwork(t, addon.value))) return;
  nft('add table inet docker { chain c { type filter hook forward priority 0; } ; }');
  const foreign = nft('list', 'table', 'inet', 'docker');
  const open = (): Guard => {
    const g = Guard.open(linuxNetlink(addon.value));
    assert.ok(g.ok);
    return g.value;
  };
  const first = open();
  assert.deepEqual(first.set('bpf', four.slice(0, 2)), { ok: true, value: 'changed' });
  assert.deepEqual(first.set('nft', four.slice(2)), { ok: true, value: 'changed' });
  const listed = nft('list', 'table', 'inet', 'holdfast-guard');
  assert.match(listed, /192\.0\.2\.1 \. tcp \. 80/);
  assert.match(listed, /ip saddr|ip daddr \. meta l4proto \. th dport @vip4 drop/);
  first.close({ keep: true });
  assert.equal(nft('list', 'table', 'inet', 'holdfast-guard'), listed);

  const second = open();
  assert.deepEqual(second.set('nft', four), { ok: true, value: 'kept' });
  assert.deepEqual(second.set('nft', four.slice(1)), { ok: true, value: 'changed' });
  assert.doesNotMatch(nft('list', 'table', 'inet', 'holdfast-guard'), /\. tcp \. 80/);
  assert.deepEqual(second.set('nft', []), { ok: true, value: 'changed' });
  assert.equal(nft('list', 'tables'), 'table inet docker\n');
  assert.equal(nft('list', 'table', 'inet', 'docker'), foreign);
  second.close({ keep: false });
});
