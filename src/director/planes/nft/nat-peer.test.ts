import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IpAddress } from '../../../base/index.ts';
import { carried, entry, FakeConntrack, flow, VIP } from './conntrack.fixture.ts';
import { NatPeer } from './nat-peer.ts';

const EVENTS = 'net.netfilter.nf_conntrack_events';
function world(o: { readonly events?: string } = {}) {
  const kernel = new FakeConntrack();
  kernel.sysctls[EVENTS] = o.events ?? '2';
  const w = { kernel, here: [{ prefix: { address: VIP } }] as { prefix: { address: IpAddress } }[], news: 0 };
  const opened = NatPeer.open({
    netlink: kernel.netlink,
    half: carried,
    addresses: () => w.here,
    sysctl: (name) => kernel.sysctls[name],
    news: () => {
      w.news++;
    },
  });
  assert.ok(opened.ok);
  return { ...w, w, peer: opened.value };
}
/** Seconds of ticks, and of the looks that the link between directors makes; how often the table was read. */
function seconds(n: number, { peer, kernel }: Pick<ReturnType<typeof world>, 'peer' | 'kernel'>): number {
  const before = kernel.readings;
  for (let i = 0; i < n; i++) {
    peer.tick();
    assert.ok(peer.read().ok);
  }
  return kernel.readings - before;
}

test('connections that were there before anybody listened are told after the table was read, others at once', () => {
  const { peer, kernel, w } = world();
  kernel.put(entry(1, 1));
  assert.deepEqual(peer.read(), { ok: true, value: true });
  assert.deepEqual(peer.takeChanges(), { set: [flow(1, 1)], gone: [] });
  const before = w.news;
  kernel.tell(entry(2, 3));
  assert.ok(w.news > before);
  assert.deepEqual(peer.takeChanges(), { set: [flow(2, 3)], gone: [] });
  kernel.tell(entry(2, 3), { ended: true });
  assert.deepEqual(peer.takeChanges(), { set: [], gone: [flow(2, 3)] });
});
test("the address goes: its connections become the other's, and are told no more; it comes back, and they are told once packets come by", () => {
  const { peer, kernel, w } = world();
  peer.tick();
  kernel.tell(entry(1, 1));
  assert.deepEqual(peer.takeChanges(), { set: [flow(1, 1)], gone: [] });
  w.here = [];
  peer.tick();
  assert.deepEqual(kernel.lines, ['1 at 1 told']);
  assert.deepEqual(peer.takeChanges(), { set: [], gone: [flow(1, 1)] });
  w.here = [{ prefix: { address: VIP } }];
  peer.tick();
  kernel.tell(entry(1, 1)); // its first packet took the bit away
  assert.deepEqual(peer.takeChanges(), { set: [flow(1, 1)], gone: [] });
  peer.abandon([flow(1, 1)]);
  assert.deepEqual(kernel.lines, ['1 at 1']);
});
test('with notifications the table is read once a minute; without, each five seconds, and the reason is said until it is gone', () => {
  const heard = world();
  assert.ok(heard.peer.read().ok);
  assert.equal(seconds(59, heard), 0);
  assert.equal(seconds(2, heard), 1);
  assert.equal(heard.peer.late, undefined);

  const deaf = world({ events: '0' });
  assert.match(
    deaf.peer.late?.en ?? '',
    /nf_conntrack_events is 0: .* each 5 s: .*\(sysctl net\.netfilter\.nf_conntrack_events=2\)$/,
  );
  assert.match(deaf.peer.late?.zh ?? '', /nf_conntrack_events 为 0/);
  assert.ok(deaf.peer.read().ok);
  assert.equal(seconds(30, deaf), 6);
  deaf.kernel.sysctls[EVENTS] = '1';
  seconds(15, deaf);
  assert.equal(deaf.peer.late, undefined);
  assert.equal(seconds(40, deaf), 0);

  heard.kernel.sysctls[EVENTS] = '0';
  seconds(10, heard);
  assert.notEqual(heard.peer.late, undefined, 'it is looked at again and again');
});
