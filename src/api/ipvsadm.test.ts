/** Against what ipvsadm 1.31 printed on Linux 6.1 for the same table; test/vm/ipvs.inside.ts compares the living ones. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IpAddress } from '../base/index.ts';
import type { LvsCounters, LvsServerRow, LvsServiceRow } from '../director/index.ts';
import { renderIpvsadm } from './ipvsadm.ts';

const head = { version: 0x010201, connectionTableSize: 4096 };
const none: LvsCounters = {
  connections: 0,
  packetsIn: 0,
  packetsOut: 0,
  bytesIn: 0,
  bytesOut: 0,
  connectionRate: 0,
  packetRateIn: 0,
  packetRateOut: 0,
  byteRateIn: 0,
  byteRateOut: 0,
};
const server = (address: string, port: number, more: Partial<LvsServerRow> = {}): LvsServerRow => ({
  address: address as IpAddress,
  port,
  forward: 'nat',
  weight: 1,
  active: 0,
  inactive: 0,
  counters: none,
  ...more,
});
const service = (match: LvsServiceRow['match'], more: Partial<LvsServiceRow> = {}): LvsServiceRow => ({
  match,
  scheduler: 'rr',
  flags: [],
  onePacket: false,
  servers: [],
  counters: none,
  ...more,
});
const at = (protocol: 'tcp' | 'udp' | 'sctp', address: string, port: number): LvsServiceRow['match'] => ({
  by: 'address',
  protocol,
  address: address as IpAddress,
  port,
});

const table: LvsServiceRow[] = [
  service({ by: 'fwmark', mark: 8, family: 6 }, { scheduler: 'lc', persistence: { seconds: 300, granularity: 64 } }),
  service({ by: 'fwmark', mark: 7, family: 4 }, { scheduler: 'lc', persistence: { seconds: 300 } }),
  service(at('tcp', '2001:db8::1', 80), {
    servers: [server('2001:db8:1111:2222:3333:4444:5555:6666', 80, { forward: 'tunnel' })],
  }),
  service(at('sctp', '10.1.0.100', 9)),
  service(at('udp', '10.1.0.100', 5060), {
    persistence: { seconds: 10, granularity: 16, engine: 'sip' },
    onePacket: true,
    servers: [server('127.0.0.1', 5060, { weight: 65535 })],
  }),
  service(at('tcp', '10.1.0.100', 81), { scheduler: 'mh', flags: ['flag-3'] }),
  service(at('tcp', '10.1.0.100', 80), {
    scheduler: 'wrr',
    servers: [
      server('10.1.0.10', 80),
      server('10.1.0.2', 80, { forward: 'direct-routing', weight: 5, active: 12, inactive: 3456 }),
    ],
  }),
  service(at('tcp', '10.1.0.100', 0), {
    scheduler: 'sh',
    flags: ['sh-fallback', 'sh-port'],
    persistence: { seconds: 60, granularity: 24 },
  }),
];

test('the list is sorted and set as ipvsadm -Ln sets it, to the last blank', () => {
  assert.equal(
    renderIpvsadm(table, head, 'list'),
    [
      'IP Virtual Server version 1.2.1 (size=4096)',
      'Prot LocalAddress:Port Scheduler Flags',
      '  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn',
      'TCP  10.1.0.100:0 sh (sh-fallback,sh-port) persistent 60 mask 255.255.255.0',
      'TCP  10.1.0.100:80 wrr',
      '  -> 10.1.0.2:80                  Route   5      12         3456      ',
      '  -> 10.1.0.10:80                 Masq    1      0          0         ',
      'TCP  10.1.0.100:81 mh ()',
      'UDP  10.1.0.100:5060 rr persistent 10 mask 255.255.0.0 pe sip ops',
      '  -> 127.0.0.1:5060               Masq    65535  0          0         ',
      'SCTP 10.1.0.100:9 rr',
      'TCP  [2001:db8::1]:80 rr',
      '  -> [2001:db8:1111:2222:3333:4444:5555:6666]:80 Tunnel  1      0          0         ',
      'FWM  7 lc persistent 300',
      'FWM  8 IPv6 lc persistent 300 mask 64',
      '',
    ].join('\n'),
  );
});

test('--stats and --rate: nine columns a number, large ones with their letter', () => {
  const counters: LvsCounters = {
    ...none,
    connections: 99_999_999,
    packetsIn: 123_456_789,
    packetsOut: 12_345_678_901,
    bytesIn: 1_234_567_890_123,
    bytesOut: 123_456_789_012_345,
    connectionRate: 7,
  };
  const rows = [service(at('tcp', '10.1.0.100', 80), { servers: [server('10.1.0.2', 80, { counters })] })];
  assert.equal(
    renderIpvsadm(rows, head, 'stats'),
    [
      'IP Virtual Server version 1.2.1 (size=4096)',
      'Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes',
      '  -> RemoteAddress:Port',
      'TCP  10.1.0.100:80                       0        0        0        0        0',
      '  -> 10.1.0.2:80                  99999999  123456K   12345M    1234G     123T',
      '',
    ].join('\n'),
  );
  assert.match(renderIpvsadm(rows, head, 'rate'), /^ {2}-> 10\.1\.0\.2:80 {25}7 {8}0 {8}0 {8}0 {8}0$/m);
});
