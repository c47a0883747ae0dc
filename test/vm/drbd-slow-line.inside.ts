/** A line between the kernel and us that holds data back while pings pass: on-congestion, ko-count; from either side. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { LineRig } from './drbd-line-rig.ts';
import { MIB } from './drbd-rig.ts';
import { connectionOf, HOSTS, type Host, otherOf, primary } from './drbd-roles.ts';

/** As patient as can be: nothing but congestion may end a connection. */
const CONGESTION = 'protocol A; congestion-fill 64k; ping-int 20; ko-count 0; timeout 50; connect-int 10;';
let line: LineRig;
before(async () => {
  line = await LineRig.started({ net: `${CONGESTION} on-congestion pull-ahead;` });
});
after(() => line?.stop());

/** KiB that it has kept back, as far as it is ahead. */
async function keptBack(host: Host): Promise<number> {
  if (host === 'ours') {
    const v = await line.rig.volume();
    return v.connection === 'Ahead' ? v.outOfSync / 1024 : 0;
  }
  const p = await line.rig.proc();
  return p.cs === 'Ahead' ? (p.counters['oos'] ?? 0) : 0;
}

for (const host of HOSTS)
  test(`on-congestion pull-ahead: ${host} goes ahead of a slow line, and comes back by a resync of what it kept back`, async () => {
    const { rig, relay } = line;
    await primary(rig, host);
    relay.hold(otherOf(host));
    const [much, more] = [
      { byte: host === 'ours' ? 0x61 : 0x71, at: 6 * MIB, kib: 1024 },
      { byte: host === 'ours' ? 0x62 : 0x72, at: 8 * MIB, kib: 32 },
    ];
    const writing = line.write(host, much);
    await rig.until('most of it is kept back', async () => (await keptBack(host)) > 512);
    assert.ok((await keptBack(host)) < 1024, 'some of it was sent');
    relay.release();
    // A flush of the application waits for the other side.
    await writing;
    await rig.settled();
    if (host === 'kern') await rig.told(/the peer has pulled ahead/);
    await line.write(host, more);
    await line.bothHold(host, much, more);
  });

for (const host of HOSTS)
  test(`ko-count: ${host} gives a peer up that answers pings and acknowledges nothing, and its writes go on`, async () => {
    const { rig, relay } = line;
    if (host === HOSTS[0]) await line.configure({ net: 'ko-count 2;' });
    const kernelSays = await line.listen();
    await primary(rig, host);
    relay.hold(otherOf(host));
    const piece = { byte: host === 'ours' ? 0x64 : 0x74, at: 12 * MIB, kib: 4 };
    const began = Date.now();
    await line.write(host, piece);
    assert.ok(Date.now() - began > 4000, 'ko-count times timeout is 5 s');
    if (host === 'ours') await rig.told(/did not acknowledge a write within 2 \(ko-count\)/);
    else await kernelSays(/Remote failed to finish a request within \d+ms > ko-count \(2\)/);
    relay.release();
    await rig.settled();
    await line.bothHold(host, piece);
  });

for (const host of HOSTS)
  test(`on-congestion disconnect: ${host} goes on alone, and the other gets the rest when it is connected again`, async () => {
    const { rig, relay } = line;
    if (host === HOSTS[0]) await line.configure({ net: `${CONGESTION} on-congestion disconnect;` });
    await primary(rig, host);
    relay.hold(otherOf(host));
    const much = { byte: host === 'ours' ? 0x63 : 0x73, at: 10 * MIB, kib: 1024 };
    const writing = line.write(host, much);
    await rig.until('it leaves', async () => /^(Disconnecting|StandAlone)$/.test(await connectionOf(rig, host)));
    await writing;
    relay.release();
    // DRBD 8.4 changes the state of its device alone, and its connection is left in Disconnecting.
    if (host === 'kern') await rig.adm('disconnect', '--force', 'r0');
    assert.equal(await connectionOf(rig, host), 'StandAlone');
    if (host === 'ours') await rig.order({ verb: 'connect', discardMyData: false });
    else await rig.adm('connect', 'r0');
    await rig.settled();
    await line.bothHold(host, much);
  });
