/**
 * MySQL and MariaDB (client/server protocol, version 10 handshake): the greeting, and where a login is given an
 * authentication (mysql_native_password, caching_sha2_password) and a query that must give a row. Without a login the
 * server counts an aborted connection: `max_connect_errors` of old servers may then shut the director out.
 */
import { constants, createHash, publicEncrypt } from 'node:crypto';
import { ByteReader, ByteWriter, text } from '../../base/index.ts';
import { bytesOf, latin1, quoted } from './bytes.ts';
import { type Conversation, end, type Finding, fail, type Move, pass, type Stage, WAIT } from './conversation.ts';

export type MysqlQuestion = {
  readonly login: string | undefined;
  readonly password: string;
  readonly database: string | undefined;
  readonly query: string | undefined;
};
const CLIENT_LONG_PASSWORD = 1;
const CLIENT_CONNECT_WITH_DB = 8;
const CLIENT_PROTOCOL_41 = 0x200;
const CLIENT_SECURE_CONNECTION = 0x8000;
const CLIENT_PLUGIN_AUTH = 0x80000;
const COM_QUIT = 1;
const COM_QUERY = 3;
const UTF8 = 33;
const LONGEST_PACKET = 1 << 20;

const malformed: Finding = fail('protocol', text('the server does not speak MySQL', '服务器不是 MySQL 协议'));

function packet(sequence: number, payload: Uint8Array): Uint8Array {
  const n = payload.length;
  return new ByteWriter(n + 4)
    .u8(n & 255)
    .u8((n >> 8) & 255)
    .u8(n >> 16)
    .u8(sequence)
    .put(payload)
    .done();
}
/** Whole packets, one by one. */
function packets(
  then: (payload: Uint8Array, sequence: number) => Finding | { readonly send?: Uint8Array; readonly stage: Stage },
): Stage {
  return (have): Move => {
    if (have.length < 4) return WAIT;
    const length = (have[0] as number) | ((have[1] as number) << 8) | ((have[2] as number) << 16);
    if (length === 0 || length > LONGEST_PACKET) return end(malformed);
    if (have.length < length + 4) return WAIT;
    const after = then(have.subarray(4, length + 4), have[3] as number);
    if ('passed' in after) return end(after, after.passed ? packet(0, Uint8Array.of(COM_QUIT)) : undefined);
    return { do: 'next', used: length + 4, ...after };
  };
}
/** ERR_Packet: code, and behind it a state and a message. */
function refusal(what: string, payload: Uint8Array): Finding {
  const words = quoted(latin1(payload.subarray(3)).replace(/^#...../, ''));
  return fail('refused-command', text(`${what}: ${words}`, `${what}：${words}`));
}

const sha1 = (...parts: Uint8Array[]): Uint8Array => parts.reduce((h, p) => h.update(p), createHash('sha1')).digest();
const sha256 = (...parts: Uint8Array[]): Uint8Array =>
  parts.reduce((h, p) => h.update(p), createHash('sha256')).digest();
const xor = (a: Uint8Array, b: Uint8Array): Uint8Array => a.map((x, i) => x ^ (b[i % b.length] as number));

/** The answer to a challenge; undefined for a method that is not spoken here. */
export function scramble(plugin: string, password: string, salt: Uint8Array): Uint8Array | undefined {
  const known = plugin === 'mysql_native_password' || plugin === 'caching_sha2_password';
  if (!known) return undefined;
  if (password === '') return new Uint8Array(0);
  const p = new Uint8Array(Buffer.from(password, 'utf8'));
  if (plugin === 'mysql_native_password') return xor(sha1(p), sha1(salt, sha1(sha1(p))));
  return xor(sha256(p), sha256(sha256(sha256(p)), salt));
}

type Greeting = { readonly salt: Uint8Array; readonly plugin: string; readonly version: string };
function zeroEnded(r: ByteReader, b: Uint8Array): string {
  const stop = b.indexOf(0, r.offset);
  const s = latin1(r.bytes(stop < 0 ? r.left : stop - r.offset));
  r.skip(1);
  return s;
}
function greetingOf(b: Uint8Array): Greeting | undefined {
  const r = new ByteReader(b);
  if (r.u8() !== 10) return undefined;
  const version = zeroEnded(r, b);
  r.skip(4);
  const first = r.bytes(8);
  if (r.short) return undefined;
  r.skip(1 + 2 + 1 + 2 + 2 + 1 + 10);
  const second = r.bytes(Math.min(12, r.left));
  r.skip(1);
  const plugin = r.left > 0 ? zeroEnded(r, b) : 'mysql_native_password';
  return { salt: Uint8Array.from([...first, ...second]), plugin: plugin || 'mysql_native_password', version };
}

export function mysqlConversation(q: MysqlQuestion): Conversation {
  const greeted = packets((b, sequence) => {
    if (b[0] === 0xff) return refusal('greeting', b);
    const g = greetingOf(b);
    if (!g) return malformed;
    const { login } = q;
    if (login === undefined)
      return pass('greeted', text(`greeted, version ${quoted(g.version)}`, `问候正常，版本 ${quoted(g.version)}`));
    // A method that is not known here: the server is asked for the oldest, and may offer another itself.
    const plugin = scramble(g.plugin, '', g.salt) ? g.plugin : 'mysql_native_password';
    const proof = scramble(plugin, q.password, g.salt) as Uint8Array;
    const flags =
      CLIENT_LONG_PASSWORD |
      CLIENT_PROTOCOL_41 |
      CLIENT_SECURE_CONNECTION |
      CLIENT_PLUGIN_AUTH |
      (q.database === undefined ? 0 : CLIENT_CONNECT_WITH_DB);
    const w = new ByteWriter(128, true).u32(flags).u32(LONGEST_PACKET).u8(UTF8).zeros(23);
    w.put(bytesOf(login)).u8(0).u8(proof.length).put(proof);
    if (q.database !== undefined) w.put(bytesOf(q.database)).u8(0);
    w.put(bytesOf(plugin)).u8(0);
    return { send: packet(sequence + 1, w.done()), stage: authenticating(g.salt) };
  });
  const authenticating = (salt: Uint8Array): Stage =>
    packets((b, sequence) => {
      switch (b[0]) {
        case 0x00:
          return loggedIn();
        case 0xff:
          return refusal('login', b);
        case 0xfe: {
          const r = new ByteReader(b.subarray(1));
          const plugin = zeroEnded(r, b.subarray(1));
          const rest = r.rest();
          const fresh = rest.slice(0, rest.at(-1) === 0 ? -1 : undefined);
          const proof = scramble(plugin, q.password, fresh);
          if (!proof)
            return fail(
              'method',
              text(
                `the server wants ${quoted(plugin)}, which is not spoken here`,
                `服务器要求 ${quoted(plugin)}，不受支持`,
              ),
            );
          return { send: packet(sequence + 1, proof), stage: authenticating(fresh) };
        }
        case 0x01:
          if (b[1] === 3) return { stage: authenticating(salt) };
          if (b[1] === 4) return { send: packet(sequence + 1, Uint8Array.of(2)), stage: encrypting(salt) };
          return malformed;
        default:
          return malformed;
      }
    });
  /** caching_sha2_password without TLS: the password under the server's public key. */
  const encrypting = (salt: Uint8Array): Stage =>
    packets((b, sequence) => {
      if (b[0] !== 1) return b[0] === 0xff ? refusal('login', b) : malformed;
      const plain = xor(new Uint8Array(Buffer.from(`${q.password}\0`, 'utf8')), salt);
      try {
        const key = { key: latin1(b.subarray(1)), padding: constants.RSA_PKCS1_OAEP_PADDING };
        return { send: packet(sequence + 1, new Uint8Array(publicEncrypt(key, plain))), stage: authenticating(salt) };
      } catch {
        return fail('protocol', text('the server sent no usable public key', '服务器未提供可用的公钥'));
      }
    });
  const loggedIn = (): Finding | { readonly send: Uint8Array; readonly stage: Stage } => {
    if (q.query === undefined) return pass('logged-in', text('logged in', '登录成功'));
    return { send: packet(0, Uint8Array.from([COM_QUERY, ...bytesOf(q.query)])), stage: answered };
  };
  const noRow = fail('no-row', text('the query gave no row', '查询没有返回行'));
  const answered = packets((b) => {
    if (b[0] === 0xff) return refusal('query', b);
    return b[0] === 0 || b[0] === 0xfb ? noRow : { stage: columns };
  });
  const isEnd = (b: Uint8Array): boolean => b[0] === 0xfe && b.length < 9;
  const columns: Stage = packets((b) =>
    isEnd(b) ? { stage: row } : b[0] === 0xff ? refusal('query', b) : { stage: columns },
  );
  const row: Stage = packets((b) => {
    if (b[0] === 0xff) return refusal('query', b);
    return isEnd(b) ? noRow : pass('row', text('the query gave a row', '查询返回了行'));
  });
  return { stage: greeted };
}
