/** LDAP version 3 (RFC 4511): bind, and where a base is given a search of that entry, which must be there. */
import { text } from '../../base/index.ts';
import { bytesOf, latin1, quoted } from './bytes.ts';
import { type Conversation, end, type Finding, fail, type Move, pass, type Stage, WAIT } from './conversation.ts';
import { mismatch, tooSlow } from './mismatch.ts';
import type { Pattern } from './regex.ts';

export type LdapQuestion = {
  readonly login: string;
  readonly password: string;
  readonly base: string | undefined;
  /** Tried on the found entry as it comes. */
  readonly pattern: Pattern | undefined;
};
// Tags of BER (X.690) as LDAP uses them.
const SEQUENCE = 0x30;
const INTEGER = 0x02;
const OCTETS = 0x04;
const ENUMERATED = 0x0a;
const BOOLEAN = 0x01;
const SIMPLE = 0x80;
const PRESENT = 0x87;
const BIND_REQUEST = 0x60;
const BIND_RESPONSE = 0x61;
const UNBIND_REQUEST = 0x42;
const SEARCH_REQUEST = 0x63;
const SEARCH_ENTRY = 0x64;
const SEARCH_DONE = 0x65;
const LONGEST_MESSAGE = 1 << 20;

function tlv(tag: number, ...parts: Uint8Array[]): Uint8Array {
  const n = parts.reduce((sum, p) => sum + p.length, 0);
  const length = n < 128 ? [n] : n < 256 ? [0x81, n] : [0x82, n >> 8, n & 255];
  const out = new Uint8Array(1 + length.length + n);
  out.set([tag, ...length]);
  let at = 1 + length.length;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}
const integer = (tag: number, n: number): Uint8Array => tlv(tag, Uint8Array.of(n));
const octets = (s: string): Uint8Array => tlv(OCTETS, new Uint8Array(Buffer.from(s, 'utf8')));
const request = (id: number, op: Uint8Array): Uint8Array => tlv(SEQUENCE, integer(INTEGER, id), op);

/** An element's content and end; `short` while it is not complete; undefined where it is malformed. */
function elementAt(b: Uint8Array, at: number): { tag: number; from: number; next: number } | 'short' | undefined {
  const tag = b[at];
  const first = b[at + 1];
  if (tag === undefined || first === undefined) return 'short';
  let length = first;
  let from = at + 2;
  if (first >= 128) {
    const count = first & 127;
    if (count === 0 || count > 4) return undefined;
    if (b.length < from + count) return 'short';
    length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + (b[from + i] as number);
    from += count;
  }
  if (length > LONGEST_MESSAGE) return undefined;
  return b.length < from + length ? 'short' : { tag, from, next: from + length };
}

const malformed: Finding = fail('protocol', text('the server does not speak LDAP', '服务器不是 LDAP 协议'));
type After = Finding | { readonly send?: Uint8Array; readonly stage: Stage };
const UNBIND = request(3, tlv(UNBIND_REQUEST));

/** Whole messages: the operation's tag and content. */
function messages(then: (tag: number, content: Uint8Array) => After): Stage {
  return (have): Move => {
    const whole = elementAt(have, 0);
    if (whole === 'short') return WAIT;
    if (!whole || whole.tag !== SEQUENCE) return end(malformed);
    const inside = have.subarray(0, whole.next);
    const id = elementAt(inside, whole.from);
    if (!id || id === 'short' || id.tag !== INTEGER) return end(malformed);
    const op = elementAt(inside, id.next);
    if (!op || op === 'short') return end(malformed);
    const after = then(op.tag, inside.subarray(op.from, op.next));
    return 'passed' in after ? end(after, UNBIND) : { do: 'next', used: whole.next, ...after };
  };
}
/** LDAPResult: undefined on success. */
function resultOf(what: string, content: Uint8Array): Finding | undefined {
  const code = elementAt(content, 0);
  if (!code || code === 'short' || code.tag !== ENUMERATED) return malformed;
  const n = content[code.from] ?? -1;
  if (n === 0 && code.next - code.from === 1) return undefined;
  const name = elementAt(content, code.next);
  const words = name && name !== 'short' ? elementAt(content, name.next) : undefined;
  const said = words && words !== 'short' ? quoted(latin1(content.subarray(words.from, words.next))) : '';
  return fail('refused-command', text(`${what}: result ${n} ${said}`, `${what}：结果 ${n} ${said}`));
}

export function ldapConversation(q: LdapQuestion): Conversation {
  const found = (seen: boolean): Stage =>
    messages((tag, content) => {
      if (tag === SEARCH_ENTRY) {
        const wrong = seen || !q.pattern ? undefined : mismatch(q.pattern, latin1(content));
        return wrong === tooSlow ? wrong : { stage: found(!wrong) };
      }
      if (tag !== SEARCH_DONE) return { stage: found(seen) };
      const refused = resultOf('search', content);
      if (refused) return refused;
      return seen
        ? pass('found', text('the entry is there', '条目存在'))
        : fail('no-match', text('no entry matches', '没有匹配的条目'));
    });
  const bound = messages((tag, content) => {
    if (tag !== BIND_RESPONSE) return malformed;
    const refused = resultOf('bind', content);
    if (refused) return refused;
    if (q.base === undefined) return pass('bound', text('bound', '绑定成功'));
    const search = tlv(
      SEARCH_REQUEST,
      octets(q.base),
      integer(ENUMERATED, 0), // this entry alone
      integer(ENUMERATED, 0),
      integer(INTEGER, 1),
      integer(INTEGER, 10),
      tlv(BOOLEAN, Uint8Array.of(0)),
      tlv(PRESENT, bytesOf('objectClass')),
      tlv(SEQUENCE),
    );
    return { send: request(2, search), stage: found(false) };
  });
  const password = tlv(SIMPLE, new Uint8Array(Buffer.from(q.password, 'utf8')));
  return {
    send: request(1, tlv(BIND_REQUEST, integer(INTEGER, 3), octets(q.login), password)),
    stage: bound,
  };
}
