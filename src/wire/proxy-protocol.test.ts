import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IpAddress } from '../base/index.ts';
import { decodeProxyHeader, decodeProxyLine, encodeProxyHeader, encodeProxyLine } from './proxy-protocol.ts';

const path = {
  source: '192.168.0.1' as IpAddress,
  destination: '192.168.0.11' as IpAddress,
  sourcePort: 56324,
  destinationPort: 443,
};
const bytes = (s: string): Uint8Array => new TextEncoder().encode(s);

test('version 1 is the line that the specification shows', () => {
  const line = 'PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n';
  assert.equal(new TextDecoder().decode(encodeProxyLine({ path })), line);
  assert.deepEqual(decodeProxyLine(bytes(line)), { ok: true, value: { path } });
});
test('UNKNOWN is taken with whatever follows it, also the longest line', () => {
  const worst = `PROXY UNKNOWN ${'f'.repeat(4)}${':ffff'.repeat(7)} ${'f'.repeat(4)}${':ffff'.repeat(7)} 65535 65535\r\n`;
  assert.equal(worst.length, 107);
  assert.deepEqual(decodeProxyLine(bytes(worst)), { ok: true, value: { path: undefined } });
});
for (const [why, line, kind] of [
  ['no end', 'PROXY TCP4 192.168.0.1 192.168.0.11 56324 443', 'line'],
  ['an end beyond 107 bytes', `PROXY UNKNOWN ${'x'.repeat(100)}\r\n`, 'line'],
  ['data behind it', 'PROXY UNKNOWN\r\nGET /', 'trailing'],
  ['another word', 'GET / HTTP/1.0\r\n', 'word'],
  ['an address of the other family', 'PROXY TCP4 ::1 192.168.0.11 1 2\r\n', 'address'],
  ['a name', 'PROXY TCP4 localhost 192.168.0.11 1 2\r\n', 'address'],
  ['a port beyond 65535', 'PROXY TCP4 192.168.0.1 192.168.0.11 65536 443\r\n', 'port'],
  ['a port with a leading zero', 'PROXY TCP4 192.168.0.1 192.168.0.11 1 0443\r\n', 'port'],
  ['two blanks', 'PROXY TCP4  192.168.0.1 192.168.0.11 1 443\r\n', 'word'],
] as const)
  test(`version 1 with ${why} is refused`, () => {
    const got = decodeProxyLine(bytes(line));
    assert.equal(got.ok ? 'taken' : got.error.kind, kind);
  });
test('version 2 is 28 bytes for IPv4: signature, 0x21, 0x11, the length 12, then addresses and ports', () => {
  const header = encodeProxyHeader({ command: 'proxy', transport: 'stream', path, tlvs: [] });
  const want = `0d0a0d0a000d0a515549540a2111000c${'c0a80001'}${'c0a8000b'}${'dc04'}${'01bb'}`;
  assert.equal(Buffer.from(header).toString('hex'), want);
});
test('version 2 from the relay itself is taken whatever addresses it carries', () => {
  const header = encodeProxyHeader({ command: 'proxy', transport: 'stream', path, tlvs: [] });
  header[12] = 0x20;
  assert.deepEqual(decodeProxyHeader(header), { ok: true, value: { command: 'local' } });
});
test('version 2 with another version, command, family, a cut extension or data behind it is refused', () => {
  const header = encodeProxyHeader({
    command: 'proxy',
    transport: 'stream',
    path,
    tlvs: [{ type: 3, value: Uint8Array.of(1, 2, 3) }],
  });
  const kind = (at: number, value: number): string => {
    const b = header.slice();
    b[at] = value;
    const got = decodeProxyHeader(b);
    return got.ok ? 'taken' : got.error.kind;
  };
  assert.deepEqual(
    [kind(0, 1), kind(12, 0x31), kind(12, 0x22), kind(13, 0x41), kind(13, 0x13), kind(30, 9), kind(15, 17)],
    ['signature', 'version', 'command', 'family', 'family', 'length', 'trailing'],
  );
});
