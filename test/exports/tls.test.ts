/** TLS with certificates made here: none, selective, forced; clients by name; nothing smuggled in before it. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect as connectPlain, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { decodeOptionReply, encodeOption, NBD_OPTION, NBD_REPLY } from '../../src/wire/index.ts';
import { clientFlags, goRequest } from '../support/exports.ts';
import { ExportProcess, program } from './process.ts';

/** ca, server and two clients, each where libnbd and QEMU look for them: FOLDER/NAME/{ca-cert,client-cert,client-key}.pem. */
async function certificates(folder: string): Promise<void> {
  const openssl = async (...argv: string[]): Promise<void> => {
    const r = await program('openssl', argv);
    assert.equal(r.code, 0, r.err);
  };
  const at = (name: string): string => join(folder, name);
  await openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=test authority',
    '-keyout',
    at('ca-key.pem'),
    '-out',
    at('ca-cert.pem'),
  );
  const sign = async (name: string, subject: string, extensions: string): Promise<void> => {
    mkdirSync(at(name));
    const role = name === 'server' ? 'server' : 'client';
    const key = join(at(name), `${role}-key.pem`);
    const request = join(at(name), 'request.pem');
    writeFileSync(join(at(name), 'extensions'), extensions);
    await openssl(
      'req',
      '-new',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-subj',
      `/CN=${subject}`,
      '-keyout',
      key,
      '-out',
      request,
    );
    await openssl(
      'x509',
      '-req',
      '-in',
      request,
      '-CA',
      at('ca-cert.pem'),
      '-CAkey',
      at('ca-key.pem'),
      '-CAcreateserial',
      '-days',
      '2',
      '-extfile',
      join(at(name), 'extensions'),
      '-out',
      join(at(name), `${role}-cert.pem`),
    );
    await program('cp', [at('ca-cert.pem'), at(name)]);
  };
  await sign('server', 'localhost', 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n');
  await sign('ha1', 'ha1', 'extendedKeyUsage=clientAuth\n');
  await sign('ha2', 'ha2', 'extendedKeyUsage=clientAuth\n');
  mkdirSync(at('nobody'));
  await program('cp', [at('ca-cert.pem'), at('nobody')]);
}
const tlsOptions = (f: string): readonly string[] => [
  ...[
    '--listen',
    '127.0.0.1:0',
    '--tls-certificate',
    `${f}/server/server-cert.pem`,
    '--tls-key',
    `${f}/server/server-key.pem`,
  ],
];
const info = (s: ExportProcess, scheme: string, who?: string) => {
  const { port } = new URL(s.uri);
  const query = who === undefined ? '' : `?tls-certificates=${join(s.folder, who)}`;
  return program('nbdinfo', ['--size', `${scheme}://127.0.0.1:${port}/x${query}`]);
};

test('forced: only TLS is served, and data go both ways', async (t) => {
  const s = await ExportProcess.start(t, (f) => [`x=${f}/disk`, ...tlsOptions(f)], { prepare: certificates });
  assert.ok(s.uri.startsWith('nbds://'));
  assert.notEqual((await info(s, 'nbd')).code, 0);
  assert.equal((await info(s, 'nbds', 'nobody')).code, 0);
  const { port } = new URL(s.uri);
  const r = await program('qemu-io', [
    '--object',
    `tls-creds-x509,id=t,dir=${s.folder}/nobody,endpoint=client,verify-peer=yes`,
    '--image-opts',
    `driver=nbd,host=127.0.0.1,port=${port},export=x,tls-creds=t`,
    ...['write -P 9 0 8M', 'read -P 9 0 8M', 'flush'].flatMap((c) => ['-c', c]),
  ]);
  assert.equal(r.code, 0, r.out + r.err);
  const copied = await program('nbdcopy', [
    `nbds://127.0.0.1:${port}/x?tls-certificates=${s.folder}/nobody`,
    join(s.folder, 'back'),
  ]);
  assert.equal(copied.code, 0, copied.err);
  assert.equal((await program('cmp', [s.disk, join(s.folder, 'back')])).code, 0);
  assert.equal(await s.stop(), 0);
});

test('selective: who asks for TLS gets it, and who does not is served too', async (t) => {
  const s = await ExportProcess.start(t, (f) => [`x=${f}/disk`, ...tlsOptions(f), '--tls', 'selective'], {
    prepare: certificates,
  });
  assert.equal((await info(s, 'nbd')).code, 0);
  assert.equal((await info(s, 'nbds', 'nobody')).code, 0);
});

test('with an authority for clients, those without its certificate are refused, and --allow chooses among the others', async (t) => {
  const s = await ExportProcess.start(
    t,
    (f) => [`x=${f}/disk`, ...tlsOptions(f), '--tls-clients', `${f}/ca-cert.pem`, '--allow', 'ha1'],
    { prepare: certificates },
  );
  assert.equal((await info(s, 'nbds', 'ha1')).code, 0);
  assert.notEqual((await info(s, 'nbds', 'ha2')).code, 0, 'a name that is not allowed');
  assert.notEqual((await info(s, 'nbds', 'nobody')).code, 0, 'no certificate');
  await s.logged(/TLS failed/);
  assert.equal((await info(s, 'nbds', 'ha1')).code, 0, 'and the next one is served');
});

test('plain bytes behind STARTTLS are thrown away, and nothing said before it counts', async (t) => {
  const s = await ExportProcess.start(t, (f) => [`x=${f}/disk`, ...tlsOptions(f)], { prepare: certificates });
  const socket = connectPlain(Number(new URL(s.uri).port), '127.0.0.1');
  const greeting = await bytesOf(socket, 18);
  assert.equal(greeting.length, 18);
  const plain = [
    clientFlags(3),
    encodeOption({ option: NBD_OPTION.starttls, data: new Uint8Array(0) }),
    encodeOption({ option: NBD_OPTION.go, data: goRequest('x') }),
  ];
  socket.write(Buffer.concat(plain));
  const ack = decodeOptionReply(await bytesOf(socket, 20));
  assert.ok(ack.ok && ack.value.option === NBD_OPTION.starttls && ack.value.type === NBD_REPLY.ack);
  const secured = connectTls({ socket, rejectUnauthorized: false });
  await new Promise((resolve, reject) => {
    secured.once('secureConnect', resolve);
    secured.once('error', reject);
  });
  secured.write(encodeOption({ option: NBD_OPTION.abort, data: new Uint8Array(0) }));
  const first = decodeOptionReply(await bytesOf(secured, 20));
  assert.ok(first.ok);
  assert.deepEqual(
    [first.value.option, first.value.type],
    [NBD_OPTION.abort, NBD_REPLY.ack],
    'the smuggled GO was not answered',
  );
  secured.destroy();
});

/** The next `n` bytes. */
function bytesOf(s: Socket, n: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const take = (): void => {
      const got = s.read(n) as Buffer | null;
      if (got === null) return;
      s.off('readable', take);
      resolve(got);
    };
    s.on('readable', take);
    s.once('error', reject);
    take();
  });
}
