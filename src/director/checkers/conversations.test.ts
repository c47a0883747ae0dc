/** Every protocol against recorded servers, cut into pieces wherever it pleases the network, and against hostile ones. */
import assert from 'node:assert/strict';
import { constants, createHash, createHmac, generateKeyPairSync, pbkdf2Sync, privateDecrypt } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { ip } from '../../../test/support/wire.ts';
import { internetChecksum } from '../../base/index.ts';
import type { UrlCheck } from '../config.ts';
import { bytesOf, latin1 } from './bytes.ts';
import { type Conversation, converse, Dialogue, MOST_UNREAD } from './conversation.ts';
import { dnsQuery, judgeDns } from './dns.ts';
import { judgeFile } from './file.ts';
import { ftpConversation } from './ftp.ts';
import { grpcRequest, judgeGrpc } from './grpc.ts';
import { httpConversation } from './http.ts';
import { ldapConversation } from './ldap.ts';
import { imapConversation, popConversation } from './mailbox.ts';
import { judgeMisc } from './misc.ts';
import { mysqlConversation, scramble } from './mysql.ts';
import { nntpConversation } from './nntp.ts';
import { echoRequest, judgeEcho } from './ping.ts';
import { postgresConversation } from './postgres.ts';
import { judgeRadius, type RadiusQuestion, radiusRequest } from './radius.ts';
import { compilePattern, type Pattern } from './regex.ts';
import { simpleConversation } from './simple.ts';
import { judgeSip, sipConversation, sipOptions } from './sip.ts';
import { smtpConversation } from './smtp.ts';
import { judgeUdp, matchesHex } from './udp.ts';

const pattern = (s: string, o = {}): Pattern => {
  const p = compilePattern(s, o);
  assert.ok(p.ok, JSON.stringify(p));
  return p.value;
};
const url = (o: Partial<UrlCheck> = {}): UrlCheck => ({
  path: '/',
  statusCodes: [{ from: 200, to: 299 }],
  tlsCompliant: false,
  ...o,
});
const http = (o: Partial<Parameters<typeof httpConversation>[0]> = {}): Conversation =>
  httpConversation({
    url: url(),
    protocol: '1.0',
    tls: false,
    address: ip('192.0.2.1'),
    port: 80,
    pattern: undefined,
    ...o,
  });
const hex = (s: string): Uint8Array => new Uint8Array(Buffer.from(s.replaceAll(' ', ''), 'hex'));
/** `code` of what was found when the server sends all of it in one piece. */
const found = (c: Conversation, ...chunks: (string | Uint8Array)[]): string => {
  const f = converse(
    c,
    chunks.map((x) => (typeof x === 'string' ? bytesOf(x) : x)),
  ).finding;
  return `${f.passed ? 'pass' : 'fail'} ${f.code}`;
};
const sent = (c: Conversation, ...chunks: string[]): string =>
  converse(c, chunks.map(bytesOf)).sent.map(latin1).join('');

// ------------------------------------------------------------------------------------------ HTTP

test('HTTP: what is asked for, in each version', () => {
  assert.equal(sent(http()), 'GET / HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nHost: 192.0.2.1\r\n\r\n');
  assert.equal(
    sent(http({ protocol: '1.0C', port: 8080 })),
    'GET / HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nConnection: close\r\nHost: 192.0.2.1:8080\r\n\r\n',
  );
  assert.equal(
    sent(http({ protocol: '1.1', address: ip('2001:db8::1'), port: 443, tls: true })),
    'GET / HTTP/1.1\r\nUser-Agent: KeepAliveClient\r\nConnection: close\r\nHost: [2001:db8::1]\r\n\r\n',
  );
  assert.match(
    sent(http({ url: url({ virtualHost: 'a.example', method: 'HEAD' }) })),
    /^HEAD .*\r\nHost: a\.example\r\n/s,
  );
});

const bodies = {
  'until the end': 'HTTP/1.0 200 OK\r\nServer: x\r\n\r\nhello world',
  'with a length': 'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world and what does not belong to it',
  'in chunks': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\n\r\n',
  'behind 100 Continue': 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world',
  'with bare line feeds': 'HTTP/1.0 200\n\nhello world',
};
const digest = createHash('md5').update('hello world').digest('hex');
for (const [name, answer] of Object.entries(bodies))
  test(`HTTP: a body ${name} has its digest and text, wherever the pieces are cut`, () => {
    const q = {
      url: url({ digest, regex: { pattern: 'o w', mustNotMatch: false, options: [] } }),
      pattern: pattern('o w'),
    };
    assert.equal(found(http(q), answer), 'pass answered');
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: answer.length }), { maxLength: 8 }), (cuts) => {
        const at = [0, ...[...cuts].sort((a, b) => a - b), answer.length];
        const pieces = at.slice(1).map((to, i) => answer.slice(at[i], to));
        assert.equal(found(http(q), ...pieces), 'pass answered');
      }),
    );
  });

test('HTTP: wrong status, digest, text, and answers that are none are told apart', () => {
  const q = (o: Partial<UrlCheck>): Conversation => http({ url: url(o), pattern: o.regex && pattern(o.regex.pattern) });
  const ok = bodies['until the end'];
  assert.equal(found(http(), 'HTTP/1.0 503 no\r\n\r\n'), 'fail status');
  assert.equal(found(q({ statusCodes: [{ from: 503, to: 503 }] }), 'HTTP/1.0 503 no\r\n\r\n'), 'pass answered');
  assert.equal(found(q({ digest: '0'.repeat(32) }), ok), 'fail digest');
  assert.equal(found(q({ regex: { pattern: 'nope', mustNotMatch: false, options: [] } }), ok), 'fail no-match');
  assert.equal(found(q({ regex: { pattern: 'hello', mustNotMatch: true, options: [] } }), ok), 'fail no-match');
  assert.equal(found(http(), '220 smtp.example ESMTP\r\n'), 'fail protocol');
  assert.equal(found(http()), 'fail no-answer');
  assert.equal(found(http(), 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel'), 'fail ended-early');
  assert.equal(found(http(), 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'), 'fail protocol');
  assert.equal(found(q({ method: 'HEAD' }), 'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n'), 'pass answered');
});

test('a server that sends for ever is cut at a limit, in the head and in the body', () => {
  const endless = (c: Conversation, first: string, piece: Uint8Array): string => {
    const d = new Dialogue(c);
    d.received(bytesOf(first));
    for (let i = 0; i < 10_000 && !d.finding; i++) d.received(piece);
    return d.finding?.code ?? 'goes on';
  };
  const piece = new Uint8Array(65536).fill(120);
  assert.equal(endless(http(), 'HTTP/1.0 200 OK\r\n', piece), 'too-long');
  assert.equal(endless(http(), 'HTTP/1.0 200 OK\r\n\r\n', piece), 'too-long');
  assert.equal(endless(smtpConversation('x'), '220-', piece), 'protocol');
  assert.equal(endless(simpleConversation('x', pattern('never')), '', piece), 'no-match');
  assert.ok(MOST_UNREAD <= 1 << 20);
});

// ------------------------------------------------------------------------------------------ lines

test('SMTP: greeting, HELO, QUIT; greetings of several lines; refusals with the server words', () => {
  const c = smtpConversation('me.example');
  assert.equal(found(c, '220-hello\r\n220 there\r\n', '250 fine\r\n'), 'pass answered');
  assert.equal(sent(c, '220 hello\r\n', '250 fine\r\n'), 'HELO me.example\r\nQUIT\r\n');
  assert.equal(found(c, '554 go away\r\n'), 'fail refused-command');
  assert.equal(found(c, '220 x\r\n', '502 what\r\n'), 'fail refused-command');
  assert.equal(found(c, 'SSH-2.0-x\r\n'), 'fail protocol');
  const f = converse(c, [bytesOf('554 go \x1b[31maway\r\n')]).finding;
  assert.equal(f.reason.en, 'greeting was answered "554 go  [31maway"');
});

test('SMTP: a greeting of very many lines is read once, each line as it comes', () => {
  const lines = Array(1200).fill(bytesOf('220-1234567890\r\n'.repeat(64)));
  const { finding, sent } = converse(smtpConversation('h'), [...lines, bytesOf('220 at last\r\n')]);
  assert.equal(latin1(sent[0] as Uint8Array), 'HELO h\r\n');
  assert.equal(finding.code, 'ended-early', 'it is greeted, and then waits for the answer');
});

test('FTP: login, and whether the file is there', () => {
  const q = { login: 'u', password: 'p', file: undefined };
  assert.equal(found(ftpConversation(q), '220 x\r\n', '331 password\r\n', '230 in\r\n'), 'pass answered');
  assert.equal(sent(ftpConversation(q), '220 x\r\n', '331 pw\r\n', '230 in\r\n'), 'USER u\r\nPASS p\r\nQUIT\r\n');
  assert.equal(found(ftpConversation(q), '220 x\r\n', '331 p\r\n', '530 no\r\n'), 'fail refused-command');
  const f = { ...q, file: 'there' };
  assert.equal(found(ftpConversation(f), '220 x\r\n', '230 in\r\n', '200 ok\r\n', '213 9\r\n'), 'pass answered');
  assert.equal(
    found(ftpConversation(f), '220 x\r\n', '230 in\r\n', '200 ok\r\n', '550 no\r\n'),
    'fail refused-command',
  );
  assert.equal(found(ftpConversation(q), '120 soon\r\n', '220 x\r\n', '230 in\r\n'), 'pass answered');
});

test('NNTP, POP and IMAP: greeting and login', () => {
  assert.equal(found(nntpConversation(undefined, undefined), '201 read only\r\n'), 'pass answered');
  assert.equal(found(nntpConversation('DATE', pattern('^111')), '200 x\r\n', '111 20260101\r\n'), 'pass answered');
  assert.equal(found(nntpConversation(undefined, undefined), '400 down\r\n'), 'fail refused-command');
  const login = { user: 'u', password: 'p"\\' };
  assert.equal(found(popConversation(undefined), '+OK hi\r\n'), 'pass answered');
  assert.equal(found(popConversation(login), '+OK\r\n', '+OK\r\n', '+OK\r\n'), 'pass answered');
  assert.equal(found(popConversation(login), '+OK\r\n', '+OK\r\n', '-ERR no\r\n'), 'fail refused-command');
  assert.equal(found(imapConversation(undefined), '* OK hi\r\n'), 'pass answered');
  assert.equal(found(imapConversation(login), '* OK\r\n', '* CAPABILITY x\r\na OK\r\n'), 'pass answered');
  assert.equal(found(imapConversation(login), '* OK\r\n', 'a NO wrong\r\n'), 'fail refused-command');
  assert.equal(found(imapConversation(login), '* BYE\r\n'), 'fail refused-command');
  assert.match(sent(imapConversation(login), '* OK\r\n'), /^a LOGIN "u" "p\\"\\\\"\r\n$/);
});

test('a text is sent and a pattern looked for, also across pieces', () => {
  assert.equal(found(simpleConversation('PING\n', pattern('\\+PONG')), '+PO', 'NG\r\n'), 'pass matched');
  assert.equal(found(simpleConversation('PING\n', pattern('\\+PONG')), '-ERR\r\n'), 'fail no-match');
  assert.equal(found(simpleConversation('', undefined), 'x'), 'pass answered');
});

// ------------------------------------------------------------------------------------------ databases

/** A server's greeting of MySQL 8 with the given method. */
const mysqlGreeting = (plugin: string, salt: Uint8Array): Uint8Array => {
  const body = [
    ...hex('0a'),
    ...bytesOf('8.0.36\0'),
    ...hex('07000000'),
    ...salt.subarray(0, 8),
    ...hex('00 fff7 21 0200 ff81 15 00000000000000000000'),
    ...salt.subarray(8, 20),
    0,
    ...bytesOf(`${plugin}\0`),
  ];
  return Uint8Array.from([body.length, 0, 0, 0, ...body]);
};
const packet = (sequence: number, ...body: number[]): Uint8Array =>
  Uint8Array.from([body.length, 0, 0, sequence, ...body]);
const salt = Uint8Array.from({ length: 20 }, (_, i) => i + 33);

test('MySQL: the greeting suffices without a login, and a refusal tells the server words', () => {
  const q = { login: undefined, password: '', database: undefined, query: undefined };
  assert.equal(found(mysqlConversation(q), mysqlGreeting('caching_sha2_password', salt)), 'pass greeted');
  const blocked = packet(0, 0xff, 0x69, 4, ...bytesOf('Host is blocked'));
  const { finding } = converse(mysqlConversation(q), [blocked]);
  assert.match(finding.reason.en, /Host is blocked/);
});

test('MySQL: native password and its proof, a query, and a row', () => {
  const q = { login: 'u', password: 'secret', database: 'd', query: 'SELECT 1' };
  const columns = [packet(1, 1), packet(2, 3, 100, 101, 102), packet(3, 0xfe, 0, 0, 2, 0)];
  const ok = packet(2, 0, 0, 0, 2, 0, 0, 0);
  const c = converse(mysqlConversation(q), [
    mysqlGreeting('mysql_native_password', salt),
    ok,
    ...columns,
    packet(4, 1, 49),
  ]);
  assert.equal(c.finding.code, 'row');
  // The published rule, the other way round: SHA1(proof xor SHA1(salt, SHA1(SHA1(p)))) is SHA1(SHA1(p)).
  const sha1 = (...b: Uint8Array[]): Buffer => createHash('sha1').update(Buffer.concat(b)).digest();
  const stored = sha1(sha1(bytesOf('secret')));
  const proof = scramble('mysql_native_password', 'secret', salt) as Uint8Array;
  const key = proof.map((x, i) => x ^ (sha1(salt, stored)[i] as number));
  assert.deepEqual(sha1(key), stored);
  assert.ok(latin1(c.sent[0] as Uint8Array).includes(latin1(proof)), 'the proof is in the answer');
  assert.ok(!c.sent.some((b) => latin1(b).includes('secret')), 'the password is not');
  assert.equal(
    found(
      mysqlConversation(q),
      mysqlGreeting('mysql_native_password', salt),
      ok,
      ...columns,
      packet(4, 0xfe, 0, 0, 2, 0),
    ),
    'fail no-row',
  );
});

test('MySQL: caching_sha2_password by the server public key, and a switch of method', () => {
  const q = { login: 'u', password: 'secret', database: undefined, query: undefined };
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = publicKey.export({ type: 'spki', format: 'pem' }) as string;
  const d = new Dialogue(mysqlConversation(q));
  d.received(mysqlGreeting('caching_sha2_password', salt));
  assert.deepEqual(d.received(packet(2, 1, 4)), [packet(3, 2)]);
  const key = bytesOf(pem);
  const [sealed] = d.received(Uint8Array.from([(key.length + 1) & 255, (key.length + 1) >> 8, 0, 4, 1, ...key]));
  const plain = privateDecrypt(
    { key: privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING },
    (sealed as Uint8Array).subarray(4),
  );
  assert.equal(latin1(plain.map((x, i) => x ^ (salt[i % 20] as number))), 'secret\0');
  d.received(packet(6, 0, 0, 0, 2, 0, 0, 0));
  assert.equal(d.finding?.code, 'logged-in');
  const other = new Dialogue(mysqlConversation(q));
  other.received(mysqlGreeting('caching_sha2_password', salt));
  const [proof] = other.received(packet(2, 0xfe, ...bytesOf('mysql_native_password\0'), ...salt, 0));
  assert.equal(
    latin1((proof as Uint8Array).subarray(4)),
    latin1(scramble('mysql_native_password', 'secret', salt) as Uint8Array),
  );
});

const pg = (kind: string, ...body: number[]): Uint8Array =>
  Uint8Array.from([kind.charCodeAt(0), 0, 0, 0, body.length + 4, ...body]);
const ready = [pg('R', 0, 0, 0, 0), pg('S', 97, 0, 98, 0), pg('Z', 73)];

test('PostgreSQL: SSLRequest without a login; MD5 and a query with one', () => {
  const q = { login: undefined, password: '', database: undefined, query: undefined, nonce: 'n' };
  assert.deepEqual(converse(postgresConversation(q), [bytesOf('S')]).sent, [hex('0000000804d2162f')]);
  assert.equal(found(postgresConversation(q), 'N'), 'pass answered');
  assert.equal(found(postgresConversation(q), 'HTTP'), 'fail protocol');
  const login = { ...q, login: 'u', password: 'p', query: 'select 1' };
  const c = converse(postgresConversation(login), [pg('R', 0, 0, 0, 5, 1, 2, 3, 4), ...ready, pg('T'), pg('D', 0, 1)]);
  assert.equal(c.finding.code, 'row');
  const md5 = (s: string | Buffer): string => createHash('md5').update(s).digest('hex');
  const want = md5(Buffer.concat([Buffer.from(md5('pu')), hex('01020304')]));
  assert.equal(latin1(c.sent[1] as Uint8Array).slice(5), `md5${want}\0`);
  assert.equal(
    found(postgresConversation(login), pg('R', 0, 0, 0, 0), pg('Z', 73), pg('C'), pg('Z', 73)),
    'fail no-row',
  );
  const error = pg('E', ...bytesOf('SFATAL\0Mtoo many clients\0\0'));
  assert.match(converse(postgresConversation(login), [error]).finding.reason.en, /too many clients/);
});

test('PostgreSQL: SCRAM-SHA-256 proves the password, and the server must prove that it knows it', () => {
  const login = { login: 'u', password: 'pencil', database: undefined, query: undefined, nonce: 'clientnonce' };
  for (const honest of [true, false]) {
    const d = new Dialogue(postgresConversation(login));
    const [first] = d.received(pg('R', 0, 0, 0, 10, ...bytesOf('SCRAM-SHA-256\0\0')));
    assert.match(latin1(first as Uint8Array), /SCRAM-SHA-256\0....n,,n=,r=clientnonce$/s);
    const serverFirst = `r=clientnonceSERVER,s=${Buffer.from('salt').toString('base64')},i=4096`;
    const [proof] = d.received(pg('R', 0, 0, 0, 11, ...bytesOf(serverFirst)));
    const message = latin1(proof as Uint8Array).slice(5);
    // The server's side of RFC 5802, from what it stores.
    const salted = pbkdf2Sync('pencil', 'salt', 4096, 32, 'sha256');
    const mac = (k: Uint8Array, s: string): Buffer => createHmac('sha256', k).update(s).digest();
    const stored = createHash('sha256').update(mac(salted, 'Client Key')).digest();
    const auth = `n=,r=clientnonce,${serverFirst},${message.slice(0, message.lastIndexOf(',p='))}`;
    const signature = mac(stored, auth);
    const client = Buffer.from(message.slice(message.lastIndexOf(',p=') + 3), 'base64').map(
      (x, i) => x ^ (signature[i] as number),
    );
    assert.deepEqual(createHash('sha256').update(client).digest(), stored);
    const v = mac(mac(salted, 'Server Key'), honest ? auth : `${auth}!`).toString('base64');
    d.received(pg('R', 0, 0, 0, 12, ...bytesOf(`v=${v}`)));
    for (const b of ready) d.received(b);
    assert.equal(d.finding?.code, honest ? 'logged-in' : 'protocol');
  }
});

test('PostgreSQL: a server that asks for a million iterations does not stop the other checks', () => {
  const d = new Dialogue(
    postgresConversation({ login: 'u', password: 'p', database: undefined, query: undefined, nonce: 'n' }),
  );
  d.received(pg('R', 0, 0, 0, 10, ...bytesOf('SCRAM-SHA-256\0\0')));
  const started = process.hrtime.bigint();
  d.received(pg('R', 0, 0, 0, 11, ...bytesOf('r=nX,s=c2FsdA==,i=9999999')));
  assert.equal(d.finding?.code, 'protocol');
  assert.ok(process.hrtime.bigint() - started < 100_000_000n);
});

test('LDAP: bind, and the entry that must be there', () => {
  const bound = hex('300c 020101 6107 0a0100 0400 0400');
  const q = { login: '', password: '', base: undefined, pattern: undefined };
  const c = converse(ldapConversation(q), [bound]);
  assert.deepEqual(c.sent[0], hex('300c 020101 6007 020103 0400 8000'));
  assert.deepEqual(c.sent[1], hex('3005 020103 4200'));
  assert.equal(c.finding.code, 'bound');
  assert.equal(found(ldapConversation(q), hex('300c 020101 6107 0a0131 0400 0400')), 'fail refused-command');
  const search = { ...q, base: 'dc=x', pattern: pattern('inetOrg') };
  const entry = hex(
    `3014 020102 640f 0404 ${Buffer.from('dc=x').toString('hex')} 0407 ${Buffer.from('inetOrg').toString('hex')}`,
  );
  const done = hex('300c 020102 6507 0a0100 0400 0400');
  assert.equal(found(ldapConversation(search), bound, entry, done), 'pass found');
  assert.equal(found(ldapConversation(search), bound, done), 'fail no-match');
  assert.equal(
    found(ldapConversation(search), bound, hex('300c 020102 6507 0a0120 0400 0400')),
    'fail refused-command',
  );
});

// ------------------------------------------------------------------------------------------ datagrams

test('DNS: the question as RFC 1035 has it; answers by number, code and value', () => {
  assert.deepEqual(dnsQuery(0x1234, 'SOA', '.'), hex('1234 0100 0001 0000 0000 0000 00 0006 0001'));
  assert.deepEqual(dnsQuery(1, 'A', 'a.example.').subarray(12), hex('0161 07 6578616d706c65 00 0001 0001'));
  const answer = (id: number, flags: number): Uint8Array =>
    hex(
      `${id.toString(16).padStart(4, '0')} ${flags.toString(16)} 0001 0001 0000 0000 0161 07 6578616d706c65 00 0001 0001 c00c 0001 0001 00000e10 0004 c0000205`,
    );
  assert.equal(judgeDns(7, undefined, answer(7, 0x8180))?.passed, true);
  assert.equal(judgeDns(7, undefined, answer(8, 0x8180)), undefined, 'another number');
  assert.equal(judgeDns(7, undefined, answer(7, 0x0100)), undefined, 'a question is no answer');
  assert.match(judgeDns(7, undefined, answer(7, 0x8183))?.reason.en ?? '', /NXDOMAIN/);
  assert.equal(judgeDns(7, '192.0.2.5', answer(7, 0x8180))?.passed, true);
  assert.equal(judgeDns(7, '192.0.2.6', answer(7, 0x8180))?.code, 'no-match');
});

test('UDP: lengths and patterns with wildcards', () => {
  assert.equal(matchesHex('0x4fxx', hex('0a4f99')), true);
  assert.equal(matchesHex('0x4fxx', hex('1a4f99')), false);
  assert.equal(matchesHex('0x4fxx', hex('0a4f')), false);
  const reply = { minLength: 2, maxLength: 3 };
  assert.equal(judgeUdp(reply, hex('00')).passed, false);
  assert.equal(judgeUdp({ ...reply, pattern: '00' }, hex('0001')).passed, true);
  assert.equal(judgeUdp(undefined, hex('00')).passed, true);
});

test('ping: its own reply and no other', () => {
  for (const family of [4, 6] as const) {
    const b = echoRequest(family, 0xdeadbeef);
    assert.equal(judgeEcho(family, 0xdeadbeef, b), undefined, 'the request itself');
    b[0] = family === 4 ? 0 : 129;
    if (family === 4) {
      b.set([0, 0], 2);
      new DataView(b.buffer).setUint16(2, internetChecksum(b));
    }
    assert.equal(judgeEcho(family, 0xdeadbeef, b)?.passed, true);
    assert.equal(judgeEcho(family, 1, b), undefined);
  }
});

test('SIP: OPTIONS, provisional answers, and answers to others', () => {
  const q = {
    transport: 'udp',
    address: ip('192.0.2.1'),
    port: 5060,
    user: 'u@h',
    id: 'abc',
    pattern: undefined,
  } as const;
  assert.match(
    latin1(sipOptions(q)),
    /^OPTIONS sip:192\.0\.2\.1:5060 SIP\/2\.0\r\nVia: SIP\/2\.0\/UDP h;branch=z9hG4bKabc;rport\r\n/,
  );
  const answer = (s: string, id = 'abc'): Uint8Array => bytesOf(`SIP/2.0 ${s}\r\nCall-ID: ${id}@h\r\n\r\n`);
  assert.equal(judgeSip(q, answer('200 OK'))?.passed, true);
  assert.equal(judgeSip(q, answer('100 Trying')), undefined);
  assert.equal(judgeSip(q, answer('200 OK', 'other')), undefined);
  assert.equal(judgeSip(q, answer('503 no'))?.code, 'status');
  assert.equal(
    found(sipConversation({ ...q, transport: 'tcp' }), answer('100 Trying'), answer('200 OK')),
    'pass answered',
  );
});

test('RADIUS: the RFC 2865 example of a hidden password, and authentic answers alone count', () => {
  // RFC 2865 section 7.1: user nemo, password arctangent, secret xyzzy5461.
  const q: RadiusQuestion = {
    login: 'nemo',
    password: 'arctangent',
    secret: 'xyzzy5461',
    id: 0,
    authenticator: hex('0f403f9473978057bd83d5cb98f4227a'),
  };
  const b = radiusRequest(q);
  assert.ok(latin1(b).includes(latin1(hex('02120dbe708d93d413ce3196e43f782a0aee'))));
  const unsigned = b.slice();
  unsigned.fill(0, 22, 38);
  assert.deepEqual(b.slice(22, 38), new Uint8Array(createHmac('md5', 'xyzzy5461').update(unsigned).digest()));
  const answer = (code: number, secret = q.secret): Uint8Array => {
    const head = hex(`${code.toString(16).padStart(2, '0')}000014`);
    const sum = createHash('md5').update(head).update(q.authenticator).update(secret).digest();
    return Uint8Array.from([...head, ...sum]);
  };
  assert.equal(judgeRadius(q, answer(2))?.passed, true);
  assert.equal(judgeRadius(q, answer(3))?.code, 'rejected');
  assert.equal(judgeRadius({ ...q, password: undefined }, answer(3))?.passed, true);
  assert.equal(judgeRadius(q, answer(2, 'other'))?.code, 'secret');
});

test('gRPC health: the request, and every answer', () => {
  assert.deepEqual(grpcRequest('a', 'h', false).body, hex('00 00000003 0a0161'));
  assert.deepEqual(grpcRequest('', 'h', false).body, hex('00 00000000'));
  const judge = (body: string, status = '0'): string => judgeGrpc(200, {}, hex(body), { 'grpc-status': status }).code;
  assert.equal(judge('00 00000002 0801'), 'serving');
  assert.equal(judge('00 00000002 0802'), 'not-serving');
  assert.equal(judge('00 00000000'), 'not-serving');
  assert.equal(judge('00 00000005 0802'), 'protocol');
  assert.equal(judge('', '12'), 'grpc-status');
  assert.equal(judgeGrpc(502, {}, hex(''), {}).code, 'status');
});

test('scripts and files: exit statuses, dynamic weights, numbers', () => {
  assert.deepEqual(
    [0, 1, 2, 255].map((code) => judgeMisc({ code }, false).passed),
    [true, false, false, false],
  );
  const dynamic = judgeMisc({ code: 12 }, true);
  assert.deepEqual(dynamic.passed && dynamic.weight, { kind: 'is', value: 10 });
  assert.equal(judgeMisc({ signal: 'SIGKILL' }, true).passed, false);
  const file = (s: string | undefined, value: number, reverse = false) =>
    judgeFile(s === undefined ? undefined : bytesOf(s), { value, reverse });
  assert.deepEqual(file('7\n', 2).weight, { kind: 'adds', value: 14 });
  assert.deepEqual(file('7', 2, true).weight, { kind: 'adds', value: -14 });
  assert.equal(file('-70000', 1).up, false);
  assert.deepEqual([file(undefined, 1).up, file('x', 1).weight.value], [true, 0]);
});

// ------------------------------------------------------------------------------------------ hostile

const conversations: Readonly<Record<string, () => Conversation>> = {
  http: () =>
    http({ url: url({ digest, regex: { pattern: 'x', mustNotMatch: false, options: [] } }), pattern: pattern('x') }),
  smtp: () => smtpConversation('h'),
  ftp: () => ftpConversation({ login: 'u', password: 'p', file: 'f' }),
  nntp: () => nntpConversation('X', pattern('x')),
  pop: () => popConversation({ user: 'u', password: 'p' }),
  imap: () => imapConversation({ user: 'u', password: 'p' }),
  simple: () => simpleConversation('x', pattern('y')),
  mysql: () => mysqlConversation({ login: 'u', password: 'p', database: 'd', query: 'q' }),
  postgres: () => postgresConversation({ login: 'u', password: 'p', database: 'd', query: 'q', nonce: 'n' }),
  ldap: () => ldapConversation({ login: 'u', password: 'p', base: 'b', pattern: pattern('x') }),
  sip: () =>
    sipConversation({ transport: 'tcp', address: ip('192.0.2.1'), port: 1, user: 'u@h', id: 'i', pattern: undefined }),
};
/** Beginnings that get further into the protocols than noise does. */
const beginnings: readonly Uint8Array[] = [
  ...Object.values(bodies).map(bytesOf),
  ...[
    '220 x\r\n',
    '331 x\r\n',
    '250 x\r\n',
    '200 x\r\n',
    '+OK\r\n',
    '* OK\r\n',
    'a OK\r\n',
    'SIP/2.0 200 OK\r\n\r\n',
  ].map(bytesOf),
  mysqlGreeting('mysql_native_password', salt),
  packet(2, 0xfe, ...bytesOf('caching_sha2_password\0'), ...salt),
  packet(2, 1, 4),
  packet(2, 0),
  pg('R', 0, 0, 0, 10, ...bytesOf('SCRAM-SHA-256\0\0')),
  pg('R', 0, 0, 0, 11, ...bytesOf('r=nX,s=c2FsdA==,i=1')),
  ...ready,
  hex('300c 020101 6107 0a0100 0400 0400'),
  hex('3084ffffffff'),
];
const chunk = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.constantFrom(...beginnings),
  fc.tuple(fc.constantFrom(...beginnings), fc.nat(), fc.nat(255)).map(([b, at, x]) => {
    const broken = b.slice();
    broken[at % b.length] = x;
    return broken;
  }),
);
for (const [name, make] of Object.entries(conversations))
  test(`${name}: no bytes whatever make it throw, and there is always a finding in both languages`, () =>
    fc.assert(
      fc.property(fc.array(chunk, { maxLength: 8 }), (chunks) => {
        const { finding } = converse(make(), chunks);
        assert.ok(finding.reason.en.length > 0 && finding.reason.zh.length > 0);
        assert.ok(!/[\0-\x1f]/.test(finding.reason.en), 'nothing in it moves a terminal');
      }),
      { numRuns: 500 },
    ));

test('no datagram makes a judge throw', () =>
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (b) => {
      judgeDns(((b[0] ?? 0) << 8) | (b[1] ?? 0), 'x.example', b);
      judgeUdp({ minLength: 0, maxLength: 99, pattern: '0xx0' }, b);
      judgeEcho(4, 1, b);
      judgeEcho(6, 1, b);
      judgeGrpc(200, {}, b, { 'grpc-status': '0' });
      judgeFile(b, { value: 3, reverse: false });
      const q = { login: 'u', password: 'p', secret: 's', id: b[1] ?? 0, authenticator: salt.subarray(0, 16) };
      judgeRadius(q, b);
    }),
    { numRuns: 2000 },
  ));
