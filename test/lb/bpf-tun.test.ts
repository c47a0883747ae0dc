/** Tunnels from the director to real servers that end them by the decapsulation program. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Forwarding } from '../../src/director/index.ts';
import { BpfRig, PORT, run, serverAddress, service, tally, VIP4, VIP6, wanted } from './bpf-rig.ts';

const GUE_PORT = 6080;
const tunnel = (type: 'ipip' | 'gue' | 'gre'): Forwarding => ({
  method: 'tunnel',
  type,
  checksum: 'none',
  ...(type === 'gue' && { port: GUE_PORT }),
});

async function endTunnels(rig: BpfRig): Promise<void> {
  for (const n of [1, 2]) {
    const wanted = { vips: [VIP4, VIP6], endpoints: [serverAddress(n, 4), serverAddress(n, 6)], guePort: GUE_PORT };
    const argv = [process.execPath, join(import.meta.dirname, 'decap-main.ts'), JSON.stringify(wanted)];
    await rig.host(`s${n}`).spawn(argv).line(/ready/, 60_000);
  }
}
/** 1 MB up, as the real server counts it. */
const upload = async (rig: BpfRig, vip: string): Promise<string> => {
  const url = `http://${vip.includes(':') ? `[${vip}]` : vip}:${PORT}/`;
  return run(
    rig.host('client'),
    `head -c 1000000 /dev/zero | curl -s -m 50 --noproxy '*' -T - ${url} -w '%{size_upload}'`,
  );
};

for (const type of ['ipip', 'gue', 'gre'] as const)
  test(`TUN by ${type}: requests and uploads of 1 MB of both families, through outer headers of both families`, async () => {
    await using rig = await BpfRig.start();
    await endTunnels(rig);
    const plane = rig.plane('d1');
    for (const outer of [4, 6] as const) {
      const servers = [1, 2].map((n) => ({ n, family: outer }));
      const services = [VIP4, VIP6].map((vip) => service({ vip, servers, forwarding: tunnel(type) }));
      const done = await plane.apply(wanted(...services));
      assert.ok(
        done.outcomes.every((o) => o.result.ok),
        JSON.stringify(done),
      );
      for (const vip of [VIP4, VIP6]) {
        const by = tally(await rig.ask(40, vip));
        assert.deepEqual(Object.keys(by).sort(), ['s1', 's2'], `${vip} in IPv${outer}: ${JSON.stringify(by)}`);
        const [by2, size] = (await upload(rig, vip)).split('\n');
        assert.match(by2 ?? '', /^s[12]$/);
        assert.ok(Number(size) >= 1_000_000, `${vip} in IPv${outer}: ${size} bytes`);
      }
    }
  });

const SEND_LARGE = `
  const s = require('dgram').createSocket(process.argv[1].includes(':') ? 'udp6' : 'udp4');
  s.on('error', () => {});
  s.connect(Number(process.argv[2]), process.argv[1], () => s.send(Buffer.alloc(Number(process.argv[3])), () => setTimeout(() => process.exit(0), 300)));
`;
test('a packet that does not fit with its outer headers is answered by the size that does, for both families', async () => {
  await using rig = await BpfRig.start();
  await endTunnels(rig);
  const plane = rig.plane('d1');
  const servers = [{ n: 1, family: 4 as const }];
  await plane.apply(
    wanted(...[VIP4, VIP6].map((vip) => service({ vip, protocol: 'udp', servers, forwarding: tunnel('gue') }))),
  );
  // GUE in IPv4: 20 of IP, 8 of UDP, 4 of GUE.
  for (const [vip, payload] of [
    [VIP4, 1500 - 28],
    [VIP6, 1500 - 48],
  ] as const) {
    const argv = [process.execPath, '-e', SEND_LARGE, vip, String(PORT), String(payload)];
    const route = (): Promise<string> => run(rig.host('client'), `ip route get ${vip}`);
    for (const end = performance.now() + 60_000; !/mtu/.test(await route()) && performance.now() < end; )
      await rig.host('client').run(argv);
    assert.match(await route(), /mtu 1468/, vip);
  }
});
