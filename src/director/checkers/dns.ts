/** DNS_CHECK (RFC 1035): one question over UDP; the answer has its number and no error code. Many answers are not asked for. */
import { ByteReader, ByteWriter, ipFromBytes, parseIp, text } from '../../base/index.ts';
import type { DnsType } from '../config.ts';
import { bytesOf, latin1 } from './bytes.ts';
import { type Finding, fail, pass } from './conversation.ts';

const TYPES: Readonly<Record<DnsType, number>> = { A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, MX: 15, TXT: 16, AAAA: 28 };
const CODES = ['no error', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'];
const MOST_ANSWERS = 256;

/** Labels beyond 63 bytes are cut: the server will say what it thinks of them. */
export function dnsQuery(id: number, type: DnsType, name: string): Uint8Array {
  const w = new ByteWriter(512).u16(id).u16(0x0100).u16(1).u16(0).u16(0).u16(0);
  for (const label of name.split('.').filter((l) => l !== '')) {
    const b = bytesOf(label).subarray(0, 63);
    w.u8(b.length).put(b);
  }
  return w.u8(0).u16(TYPES[type]).u16(1).done();
}

/** A name with its compression resolved, without the last dot; undefined where it is malformed. */
function nameAt(b: Uint8Array, start: number): { readonly name: string; readonly next: number } | undefined {
  let at = start;
  const labels: string[] = [];
  let next = -1;
  for (let jumps = 0; jumps < 32; ) {
    const n = b[at];
    if (n === undefined) return undefined;
    if (n >= 0xc0) {
      if (next < 0) next = at + 2;
      at = ((n & 63) << 8) | (b[at + 1] ?? 0);
      jumps++;
      continue;
    }
    if (n > 63 || labels.length > 127) return undefined;
    at++;
    if (n === 0) return { name: labels.join('.'), next: next < 0 ? at : next };
    labels.push(latin1(b.subarray(at, at + n)));
    at += n;
  }
  return undefined;
}

/** Values of the answers, as people write them; only those that can be expected by a check. */
function answersOf(b: Uint8Array, questions: number, answers: number): string[] {
  const out: string[] = [];
  let at = 12;
  for (let i = 0; i < questions; i++) {
    const n = nameAt(b, at);
    if (!n) return out;
    at = n.next + 4;
  }
  for (let i = 0; i < Math.min(answers, MOST_ANSWERS); i++) {
    const n = nameAt(b, at);
    if (!n) return out;
    const r = new ByteReader(b.subarray(n.next));
    const type = r.u16();
    r.skip(6);
    const length = r.u16();
    const data = r.bytes(length);
    if (r.short) return out;
    const from = n.next + 10;
    at = from + length;
    if ((type === 1 && length === 4) || (type === 28 && length === 16)) out.push(ipFromBytes(data));
    else if (type === 2 || type === 5 || type === 12) out.push(nameAt(b, from)?.name ?? '');
    else if (type === 15) out.push(nameAt(b, from + 2)?.name ?? '');
    else if (type === 16) out.push(latin1(data.subarray(1)));
  }
  return out;
}

/** Undefined: not the answer to this question, wait on. */
export function judgeDns(id: number, expect: string | undefined, b: Uint8Array): Finding | undefined {
  const r = new ByteReader(b);
  const have = r.u16();
  const flags = r.u16();
  const [questions, answers] = [r.u16(), r.u16()];
  r.skip(4);
  if (r.short || have !== id || (flags & 0x8000) === 0) return undefined;
  const code = flags & 15;
  if (code !== 0) {
    const name = CODES[code] ?? `error ${code}`;
    return fail('rcode', text(`the server answered ${name}`, `服务器应答 ${name}`));
  }
  if (expect !== undefined) {
    const address = parseIp(expect);
    const wanted = address.ok ? address.value : expect.toLowerCase().replace(/\.$/, '');
    const got = answersOf(b, questions, answers);
    if (!got.some((g) => g.toLowerCase() === wanted))
      return fail('no-match', text(`${expect} is not among the answers`, `应答中没有 ${expect}`));
  }
  return pass('answered', text('answered without an error code', '应答无错误码'));
}
