/**
 * PostgreSQL (frontend/backend protocol 3.0): without a login the answer to SSLRequest, which leaves nothing in the
 * server's log; with one the authentication (clear text, MD5, SCRAM-SHA-256) and a query that must give a row.
 */
import { createHash } from 'node:crypto';
import { ByteReader, ByteWriter, text } from '../../base/index.ts';
import { bytesOf, latin1, quoted } from './bytes.ts';
import { type Conversation, end, type Finding, fail, type Move, pass, type Stage, WAIT } from './conversation.ts';
import { scramFinal, scramFirst } from './scram.ts';

export type PostgresQuestion = {
  readonly login: string | undefined;
  readonly password: string;
  readonly database: string | undefined;
  readonly query: string | undefined;
  /** Printable, unlike in any other attempt. */
  readonly nonce: string;
};
const SSL_REQUEST = 80877103;
const PROTOCOL = 196608;
const LONGEST_MESSAGE = 1 << 20;
const malformed: Finding = fail('protocol', text('the server does not speak PostgreSQL', '服务器不是 PostgreSQL 协议'));
const wrongProof: Finding = fail('protocol', text("the server's proof is wrong", '服务器的证明不正确'));

const message = (kind: string, body: Uint8Array): Uint8Array =>
  new ByteWriter(body.length + 5)
    .put(bytesOf(kind))
    .u32(body.length + 4)
    .put(body)
    .done();
const zeroEnded = (s: string): Uint8Array => Uint8Array.from([...bytesOf(s), 0]);
const TERMINATE = message('X', new Uint8Array(0));

type After = Finding | { readonly send?: Uint8Array; readonly stage: Stage };
function messages(then: (kind: string, body: Uint8Array) => After): Stage {
  return (have): Move => {
    if (have.length < 5) return WAIT;
    const length = new DataView(have.buffer, have.byteOffset).getUint32(1);
    if (length < 4 || length > LONGEST_MESSAGE) return end(malformed);
    if (have.length < length + 1) return WAIT;
    const kind = String.fromCharCode(have[0] as number);
    const body = have.subarray(5, length + 1);
    const after = kind === 'E' ? refusal(body) : then(kind, body);
    if ('passed' in after) return end(after, after.passed ? TERMINATE : undefined);
    return { do: 'next', used: length + 1, ...after };
  };
}
/** ErrorResponse: fields of a letter and a text; M is the message. */
function refusal(body: Uint8Array): Finding {
  const fields = latin1(body).split('\0');
  const words = quoted(fields.find((f) => f.startsWith('M'))?.slice(1) ?? '?');
  return fail('refused-command', text(`the server says ${words}`, `服务器应答 ${words}`));
}

const md5 = (...parts: Uint8Array[]): string => parts.reduce((h, p) => h.update(p), createHash('md5')).digest('hex');

export function postgresConversation(q: PostgresQuestion): Conversation {
  const { login } = q;
  if (login === undefined)
    return {
      send: new ByteWriter(8).u32(8).u32(SSL_REQUEST).done(),
      stage: (have) => {
        if (have.length === 0) return WAIT;
        const known = have[0] === 0x53 || have[0] === 0x4e; // S or N
        return end(known ? pass('answered', text('the server answers', '服务器有应答')) : malformed);
      },
    };
  const start = new ByteWriter(128).u32(0).u32(PROTOCOL);
  for (const s of ['user', login, 'database', q.database ?? login, 'application_name', 'holdfast'])
    start.put(zeroEnded(s));
  start.u8(0);

  const password = (s: string, stage: Stage): After => ({ send: message('p', zeroEnded(s)), stage });
  const authenticating: Stage = messages((kind, body) => {
    if (kind === 'N') return { stage: authenticating };
    if (kind !== 'R') return malformed;
    const r = new ByteReader(body);
    switch (r.u32()) {
      case 0:
        return { stage: starting };
      case 3:
        return password(q.password, authenticating);
      case 5: {
        const inner = md5(bytesOf(q.password), bytesOf(login));
        return password(`md5${md5(bytesOf(inner), r.bytes(4))}`, authenticating);
      }
      case 10: {
        if (!latin1(r.rest()).split('\0').includes('SCRAM-SHA-256')) break;
        const first = bytesOf(scramFirst(q.nonce));
        const body = new ByteWriter(96).put(zeroEnded('SCRAM-SHA-256')).u32(first.length).put(first).done();
        return { send: message('p', body), stage: proving };
      }
    }
    return fail('method', text('the server wants a login that is not spoken here', '服务器要求的认证方式不受支持'));
  });
  const proving: Stage = messages((kind, body) => {
    const r = new ByteReader(body);
    if (kind !== 'R' || r.u32() !== 11) return malformed;
    const proof = scramFinal(q.nonce, q.password, latin1(r.rest()));
    if (!proof) return malformed;
    const proven: Stage = messages((kind, body) => {
      const r = new ByteReader(body);
      if (kind !== 'R' || r.u32() !== 12) return malformed;
      return proof.verifies(latin1(r.rest())) ? { stage: authenticating } : wrongProof;
    });
    return { send: message('p', bytesOf(proof.send)), stage: proven };
  });
  const starting: Stage = messages((kind) => {
    if (kind !== 'Z') return { stage: starting }; // parameters, the key for cancelling, notices
    if (q.query === undefined) return pass('logged-in', text('logged in', '登录成功'));
    return { send: message('Q', zeroEnded(q.query)), stage: answered };
  });
  const answered: Stage = messages((kind) => {
    if (kind === 'D') return pass('row', text('the query gave a row', '查询返回了行'));
    if (kind === 'Z') return fail('no-row', text('the query gave no row', '查询没有返回行'));
    return { stage: answered };
  });
  return { send: start.patchU32(0, start.length).done(), stage: authenticating };
}
