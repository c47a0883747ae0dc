/** NAT by nft, with real HTTP and UDP through client, director and real servers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answersOn, NAT, PlaneProcess, Rig, real, server, service, skip, tally } from './rig.ts';

test('weights are exact over TCP and UDP, IPv4 and IPv6, with and without another port', { skip }, async () => {
  const rig = await Rig.start();
  await using _ = rig.lab;
  const plane = await PlaneProcess.start(rig.director);
  for (const f of [4, 6] as const) {
    const servers = (port: number) => [
      server(1, 6, { family: f, port }),
      server(2, 3, { family: f, port }),
      server(3, 3, { family: f, port }),
    ];
    await plane.holds([
      service(NAT[f], 80, servers(80)),
      service(NAT[f], 81, servers(8080)),
      service(NAT[f], 53, servers(53), { protocol: 'udp' }),
    ]);
    const weights = { r1: 6, r2: 3, r3: 3 };
    assert.deepEqual(tally(await rig.http(NAT[f], 80, 12)), weights);
    assert.deepEqual(tally(await rig.http(NAT[f], 81, 12)), weights);
    assert.deepEqual(tally(await rig.udp(NAT[f], 12)), weights);
    const [tcp] = await plane.counters();
    assert.deepEqual(
      tcp?.servers.map((s) => s.connections),
      [6, 3, 3],
    );
    for (const s of tcp?.servers ?? []) assert.ok(s.packetsIn > 0 && s.packetsOut > 0 && s.bytesOut > s.packetsOut);
  }
  void real;
});
