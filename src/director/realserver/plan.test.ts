import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { golden } from '../../../test/golden/golden.ts';
import type { IpAddress } from '../../base/index.ts';
import { describeRealServerStep, type RealServerFound, realServerPlan, realServerScript } from './plan.ts';

const ip = (...a: string[]): IpAddress[] => a as IpAddress[];
const fresh: RealServerFound = {
  addresses: ip('127.0.0.1', '::1'),
  ours: [],
  sysctls: { 'net/ipv4/conf/all/arp_ignore': '0', 'net/ipv4/conf/all/arp_announce': '0' },
};

test('plans of a real server: first time, a VIP moves, stricter settings stay, nothing wanted; and its script', (t) => {
  const vips = ip('192.168.1.99', 'fd00::99');
  const cases: [string, Parameters<typeof realServerPlan>][] = [
    ['first time', [{ vips, endpoints: [] }, fresh]],
    [
      'another VIP, settings of the operator are stricter',
      [
        { vips: ip('192.168.1.98'), endpoints: [] },
        {
          addresses: ip('127.0.0.1', '192.168.1.99', '10.1.1.1'),
          ours: ip('192.168.1.99'),
          sysctls: { 'net/ipv4/conf/all/arp_ignore': '2', 'net/ipv4/conf/all/arp_announce': '2' },
        },
      ],
    ],
    [
      'nothing wanted',
      [
        { vips: [], endpoints: [] },
        { ...fresh, addresses: vips, ours: vips },
      ],
    ],
  ];
  const plans = cases.map(([title, args]) =>
    [`# ${title}`, ...realServerPlan(...args).map(describeRealServerStep), ''].join('\n'),
  );
  golden(t, 'realserver', [...plans, realServerScript({ vips, endpoints: ip('192.168.1.11', 'fd00::11') })].join('\n'));
});

test('the settings come before the first address, and only addresses of our own ever go', () =>
  fc.assert(
    fc.property(
      fc.subarray(ip('10.0.0.1', '10.0.0.2', 'fd00::1')),
      fc.subarray(ip('10.0.0.1', '10.0.0.2', 'fd00::1', '10.9.9.9')),
      fc.subarray(ip('10.0.0.1', '10.0.0.2')),
      (vips, addresses, ours) => {
        const steps = realServerPlan({ vips, endpoints: [] }, { ...fresh, addresses, ours });
        const kinds = steps.map((s) => s.do);
        assert.ok(!kinds.includes('sysctl') || kinds.lastIndexOf('sysctl') < (kinds.indexOf('address-add') + 1 || 99));
        const after = new Set(addresses);
        for (const s of steps) {
          if (s.do === 'address-add') after.add(s.address);
          if (s.do === 'address-remove') {
            assert.ok(ours.includes(s.address));
            after.delete(s.address);
          }
        }
        for (const v of vips) assert.ok(after.has(v));
        for (const a of addresses) assert.ok(after.has(a) || (ours.includes(a) && !vips.includes(a)));
      },
    ),
  ));

test('the script is one that a shell reads', () => {
  const script = realServerScript({ vips: ip('10.0.0.1', 'fd00::1'), endpoints: ip('10.0.0.9', 'fd00::9') });
  execFileSync('sh', ['-n'], { input: script });
});
