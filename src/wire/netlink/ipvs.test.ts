import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IpAddress } from '../../base/index.ts';
import {
  type IpvsDestination,
  type IpvsService,
  writeIpvsDestination,
  writeIpvsHead,
  writeIpvsService,
} from './index.ts';
import { NetlinkWriter } from './writer.ts';

/** Attributes in the order sent, nested ones in braces; the notation of the reference, values in hexadecimal. */
function attributes(b: Uint8Array): string {
  const v = new DataView(b.buffer, b.byteOffset, b.length);
  const found: string[] = [];
  for (let at = 0; at < b.length; ) {
    const [length, type] = [v.getUint16(at, true), v.getUint16(at + 2, true)];
    const content = b.subarray(at + 4, at + length);
    found.push(
      (type & 0x8000) !== 0
        ? `${type & 0x3fff}{${attributes(content)}}`
        : `${type}=${Buffer.from(content).toString('hex')}`,
    );
    at += (length + 3) & ~3;
  }
  return found.join(' ');
}
const zeros = (n: number): string => '00'.repeat(n);

test('what is sent for a server with thresholds is what ipvsadm 1.31 sends, byte for byte', () => {
  const service: IpvsService = {
    identity: { by: 'address', protocol: 6, address: '10.77.0.100' as IpAddress, port: 80 },
    scheduler: '',
    flags: 0,
    timeout: 0,
    netmask: 0xffff_ffff,
  };
  const server: IpvsDestination = {
    address: '10.77.0.11' as IpAddress,
    port: 80,
    forward: 'direct-routing',
    weight: 5,
    upperThreshold: 100,
    lowerThreshold: 50,
    tunnel: { type: 'ipip', port: 0, flags: 0 },
  };
  const w = writeIpvsHead(new NetlinkWriter(), 5);
  writeIpvsService(w, service);
  writeIpvsDestination(w, server);
  const b = w.done();
  assert.deepEqual([...b.subarray(0, 4)], [5, 1, 0, 0]);
  assert.equal(
    attributes(b.subarray(4)),
    `1{1=0200 2=0600 3=0a4d0064${zeros(12)} 4=0050 6=00 7=00000000ffffffff 8=00000000 9=ffffffff} ` +
      `2{11=0200 1=0a4d000b${zeros(12)} 2=0050 3=03000000 4=05000000 13=00 14=0000 15=0000 5=64000000 6=32000000}`,
  );
});

test('an IPv4 mask is sent in network order, an IPv6 prefix length as a number', () => {
  const of = (address: string, netmask: number): string => {
    const w = new NetlinkWriter();
    const identity = { by: 'address', protocol: 17, address: address as IpAddress, port: 53 } as const;
    writeIpvsService(w, { identity, scheduler: 'rr', flags: 1, timeout: 300, netmask });
    return /9=(\w+)/.exec(attributes(w.done()))?.[1] ?? '';
  };
  assert.equal(of('192.0.2.1', 0xffff_ff00), 'ffffff00');
  assert.equal(of('2001:db8::1', 64), '40000000');
});
