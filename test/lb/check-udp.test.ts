/** `holdfast lb check` against planted faults over IPv6 and for UDP. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LbFinding } from '../../src/api/index.ts';
import { Lab } from '../../src/lab/index.ts';
import { READY, S1, server, sh, until, VIP } from './check-hosts.ts';
import { holdfast, skip } from './directors.ts';

const [VIP6, D6, S6] = ['fd00:1::99', 'fd00:1::10', 'fd00:1::11'];
const conf6 = `
global_defs {
  script_user root
}
virtual_server ${VIP6} 80 {
  lb_algo rr
  lb_kind DR
  ${server(S6, 80)}
}
virtual_server ${VIP6} 81 {
  lb_algo rr
  lb_kind NAT
  ${server(S6, 80)}
}
virtual_server ${VIP6} 82 {
  lb_algo rr
  lb_kind TUN
  ${server(S6, 82)}
  ${server(S1, 82)}
}
virtual_server ${VIP} 53 {
  lb_algo rr
  lb_kind DR
  protocol UDP
  ${server(S1, 53)}
}
virtual_server ${VIP6} 53 {
  lb_algo rr
  lb_kind DR
  protocol UDP
  ${server(S6, 53)}
}
virtual_server fwmark 7 {
  lb_algo rr
  lb_kind DR
  ${server(S1, 80)}
}
`;
const listenAll = (what: string): string[] => [process.execPath, '-e', what];
const TCP80 = `require('net').createServer(c=>c.on('error',()=>{})).listen(80,'::',()=>console.log('up'))`;
const UDP53 = `require('dgram').createSocket('udp6').bind(53,'::',()=>console.log('up'))`;

test('over IPv6 and for UDP planted faults are named too, and what cannot be probed is said', { skip }, async (t) => {
  const both = (last: number) => ({
    links: { ens33: { to: 'lan', addresses: [`192.168.1.${last}/24`, `fd00:1::${last}/64`] } },
  });
  await using lab = await Lab.start({
    switches: ['lan'],
    hosts: { d: { ...both(10), files: { '/etc/k.conf': conf6 } }, s1: both(11), intruder: both(13) },
  });
  const [d, s1] = [lab.host('d'), lab.host('s1')];
  await sh(d, `ip addr add ${VIP6}/128 dev ens33 nodad; ip addr add ${VIP}/32 dev ens33`);
  const ready = `ip addr add ${VIP6}/128 dev lo nodad`;
  await sh(s1, `${READY}; ${ready}`);
  await s1.spawn(listenAll(TCP80)).line(/up/, 60_000);
  const daemon = d.spawn([
    holdfast,
    'keepalived',
    '-n',
    '-l',
    '-C',
    '-p',
    '/run/a.pid',
    '-f',
    '/etc/k.conf',
    '--lb-plane=proxy',
  ]);
  const check = async (service: string, about: string | undefined): Promise<string[]> => {
    const r = await d.run([holdfast, 'lb', 'check', service, '--json', '-p', '/run/a.pid']);
    assert.ok(r.code === 0 || r.code === 8, r.stderr);
    const found = JSON.parse(r.stdout) as LbFinding[];
    return found.filter((f) => f.server === about).map((f) => f.code);
  };
  await until('the director answers', async () => {
    const { code } = await d.run([holdfast, 'lb', 'status', '-p', '/run/a.pid']);
    return code === 0 || code === 8;
  });
  const dr = (): Promise<string[]> => check(`[${VIP6}]:80`, `[${S6}]:80`);
  assert.deepEqual(await dr(), ['path-good']);
  assert.deepEqual(await check(`[${VIP6}]:80`, undefined), []);
  await t.test('VIP missing on lo, or on the link instead', async () => {
    await sh(s1, `ip addr del ${VIP6}/128 dev lo`);
    assert.deepEqual(await dr(), ['vip-missing']);
    await sh(s1, 'sysctl -qw net.ipv6.conf.all.forwarding=1'); // now it sends the packet on
    assert.deepEqual(await dr(), ['vip-missing']);
    await sh(s1, `sysctl -qw net.ipv6.conf.all.forwarding=0; ip addr add ${VIP6}/128 dev ens33 nodad`);
    assert.deepEqual(await dr(), ['path-good', 'vip-on-link']);
    await sh(s1, `ip addr del ${VIP6}/128 dev ens33; ${ready}`);
    assert.deepEqual(await dr(), ['path-good']);
  });
  await t.test('another machine holds the address too', async () => {
    await sh(lab.host('intruder'), `ip addr add ${VIP6}/64 dev ens33 nodad`);
    assert.deepEqual(await check(`[${VIP6}]:80`, undefined), ['other-holder']);
    await sh(lab.host('intruder'), `ip addr del ${VIP6}/64 dev ens33`);
  });
  await t.test('the default route in NAT', async () => {
    const nat = (): Promise<string[]> => check(`[${VIP6}]:81`, `[${S6}]:80`);
    assert.deepEqual(await nat(), ['default-route', 'nat-same-subnet']);
    await sh(s1, `ip -6 route replace default via ${D6}`);
    assert.deepEqual(await nat(), ['path-good', 'nat-same-subnet']);
  });
  await t.test('tunnels in IPv6 and in IPv4 into a server that takes none', async () => {
    assert.deepEqual(await check(`[${VIP6}]:82`, `[${S6}]:82`), ['no-decapsulation']);
    assert.deepEqual(await check(`[${VIP6}]:82`, `${S1}:82`), ['no-decapsulation']);
  });
  await t.test('UDP: nobody listens, somebody does, and the address is missing', async () => {
    const ways = [
      [`udp ${VIP}:53`, `${S1}:53`],
      [`udp [${VIP6}]:53`, `[${S6}]:53`],
    ] as const;
    const all = async (): Promise<string[][]> => {
      const out: string[][] = [];
      for (const [service, key] of ways) out.push(await check(service, key));
      return out;
    };
    assert.deepEqual(await all(), [['not-listening'], ['not-listening']]);
    await s1.spawn(listenAll(UDP53)).line(/up/, 60_000);
    assert.deepEqual(await all(), [['path-good'], ['path-good']]);
    await sh(s1, `ip addr del ${VIP}/32 dev lo; ip addr del ${VIP6}/128 dev lo`);
    assert.deepEqual(await all(), [['vip-missing'], ['vip-missing']]);
  });
  await t.test('a mark has no address', async () => {
    assert.deepEqual(await check('fwmark 7 ipv4', undefined), ['not-probed']);
  });
  await daemon.kill();
});
