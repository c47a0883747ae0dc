import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IpAddress } from '../../../base/index.ts';
import type { LinkAddress } from '../../../host/index.ts';
import { neighbourDevices } from './reach.ts';

const address = (ifindex: number, a: string, length: number, peer?: string): LinkAddress =>
  ({
    ifindex,
    prefix: { address: a, length: peer === undefined ? length : 32 },
    ...(peer !== undefined && { peer: { address: peer, length } }),
  }) as LinkAddress;

test('a neighbour is behind the device with the longest prefix that has it, IPv4 and IPv6; an address of our own is here', () => {
  const device = neighbourDevices([
    address(1, '10.0.0.1', 8),
    address(2, '10.1.0.1', 23),
    address(3, '0.0.0.0', 0),
    address(4, '10.9.9.9', 32, '10.9.9.10'),
    address(5, 'fd00:1::1', 63),
    address(6, 'fd00:1::2', 128),
  ]);
  const of = (a: string): number | undefined => device(a as IpAddress);
  assert.deepEqual(['10.0.0.1', 'fd00:1::2'].map(of), [0, 0]);
  assert.deepEqual(['10.1.1.255', '10.1.2.0', '200.1.1.1', '10.9.9.10', '10.9.9.11'].map(of), [2, 1, 3, 4, 1]);
  assert.deepEqual(['fd00:1:0:1::7', 'fd00:1:0:2::7'].map(of), [5, undefined]);
});
