import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  compareIp,
  type IpAddress,
  internetChecksum,
  ipBytes,
  ipFromBytes,
  languageOf,
  parseIp,
  renderDiagnostic,
  text,
} from './index.ts';

const anyIp = fc.oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }));

test('every address survives bytes to text to bytes', () =>
  fc.assert(fc.property(anyIp, (b) => assert.deepEqual(ipBytes(ipFromBytes(b)), b))));
test('canonical text parses to itself', () =>
  fc.assert(fc.property(anyIp, (b) => assert.deepEqual(parseIp(ipFromBytes(b)), { ok: true, value: ipFromBytes(b) }))));
test('IPv6 text is RFC 5952: longest run shortened, the first of equals, a single zero group kept', () => {
  const canonical = (s: string): string => {
    const r = parseIp(s);
    return r.ok ? r.value : r.error;
  };
  assert.equal(canonical('2001:DB8:0:0:1:0:0:1'), '2001:db8::1:0:0:1');
  assert.equal(canonical('2001:db8:0:1:1:1:1:1'), '2001:db8:0:1:1:1:1:1');
  assert.equal(canonical('::ffff:192.0.2.1'), '::ffff:c000:201');
  assert.equal(canonical('0:0:0:0:0:0:0:0'), '::');
});
test('what is no address is refused', () => {
  for (const s of [
    '',
    '1.2.3',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.4.5',
    '192.168.100.',
    ':::',
    '1::2::3',
    '12345::',
    '1:2:3:4:5:6:7:8:9',
    '::1%eth0',
  ])
    assert.equal(parseIp(s).ok, false, s);
});
test('order is numeric, not textual', () => {
  assert.ok(compareIp('10.0.0.9' as IpAddress, '10.0.0.10' as IpAddress) < 0);
});
test('the checksum over a packet with its checksum is zero', () =>
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 64 }), (b) => {
      const p = Uint8Array.from(b);
      p[2] = 0;
      p[3] = 0;
      const c = internetChecksum(p);
      p[2] = c >> 8;
      p[3] = c & 255;
      assert.equal(internetChecksum(p), 0);
    }),
  ));
test("a diagnostic has its place, the line, a caret under the value in terminal cells, and a hint, in the reader's language", () => {
  const d = {
    severity: 'error',
    code: 'vrrp-vrid-range',
    place: { file: 'a.conf', line: 2, column: 6, length: 3 },
    message: text('virtual_router_id 300 is outside 1..255', 'virtual_router_id 300 超出 1..255'),
    hint: text('use 52', '可用 52'),
  } as const;
  assert.equal(
    renderDiagnostic(d, 'zh', () => '中文 x 300'),
    'a.conf:2:6: 错误: virtual_router_id 300 超出 1..255 [vrrp-vrid-range]\n2 | 中文 x 300\n           ^^^\n提示: 可用 52',
  );
});
test('the language follows the option, then the environment', () => {
  assert.equal(languageOf({ LANG: 'zh_CN.UTF-8' }), 'zh');
  assert.equal(languageOf({ LANG: 'zh_CN.UTF-8' }, 'en'), 'en');
  assert.equal(languageOf({}), 'en');
});
