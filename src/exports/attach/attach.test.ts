import assert from 'node:assert/strict';
import { test } from 'node:test';
import { text } from '../../base/index.ts';
import { encodeGreeting, encodeInfo, encodeOptionReply, NBD_FLAG, NBD_OPTION, NBD_REPLY } from '../../wire/index.ts';
import { ClientHandshake, type ClientOutcome } from './client.ts';
import { waitBefore } from './link.ts';
import { type Attachment, attachStep, CONNECTING } from './machine.ts';
import { blockSizeOf, chooseWay, explainUses, isDeviceName, mountsOf } from './plan.ts';

const all = { nbd: true, nbdfuse: true, fuseDevice: true, loopControl: true };
const none = { nbd: false, nbdfuse: false, fuseDevice: false, loopControl: false };

test('the kernel goes before FUSE, and where there is neither one line names all that is missing and the way out', () => {
  assert.deepEqual(chooseWay('auto', all), { ok: true, value: 'kernel' });
  assert.deepEqual(chooseWay('auto', { ...all, nbd: false }), { ok: true, value: 'fuse' });
  assert.deepEqual(chooseWay('fuse', all), { ok: true, value: 'fuse' });
  const r = chooseWay('auto', none);
  assert.ok(!r.ok);
  assert.equal(
    r.error.en,
    "nothing here can attach it: the kernel's nbd module (modprobe nbd), or else nbdfuse (apt install libnbd-bin), /dev/fuse (modprobe fuse), /dev/loop-control (modprobe loop)",
  );
  assert.ok(!chooseWay('kernel', { ...all, nbd: false }).ok);
});

const offer = (size: number, minimumBlock = 1, preferredBlock = 4096) => ({
  size,
  flags: NBD_FLAG.hasFlags,
  minimumBlock,
  preferredBlock,
});
test('the block is the largest that divides the size, never below what the export or the kernel takes', () => {
  assert.equal(blockSizeOf(offer(1 << 20)), 4096);
  assert.equal(blockSizeOf(offer((1 << 20) + 512)), 512);
  assert.equal(blockSizeOf(offer((1 << 20) + 512, 4096)), undefined);
  assert.equal(blockSizeOf(offer((1 << 20) + 100)), undefined);
  assert.equal(blockSizeOf(offer(1 << 20, 1, 65536)), 4096);
});

test('a mount is found by the number of its device, spaces in its name included', () => {
  const info = '36 25 7:3 / /mnt/a\\040b rw - ext4 /dev/loop3 rw\n37 25 7:30 / /mnt/c rw - ext4 /dev/loop30 rw\n';
  assert.deepEqual(mountsOf(info, '7:3'), ['/mnt/a b']);
  assert.equal(explainUses('d', [], false), undefined);
  assert.match(explainUses('d', ['/mnt/a b'], true)?.en ?? '', /mounted on \/mnt\/a b: umount \/mnt\/a b first/);
});

test('a name of a device leads nowhere else', () => {
  for (const bad of ['', '..', '.x', 'a/b', '-x', 'x'.repeat(65), 'a b', 'ä']) assert.ok(!isDeviceName(bad), bad);
  for (const good of ['disk', 'vm-1.img', '_']) assert.ok(isDeviceName(good), good);
});

const attached: Attachment = { is: 'attached', device: '/dev/nbd0', server: 'there' };
const kinds = (s: ReturnType<typeof attachStep>): string[] => s.effects.map((e) => e.kind);
test('what is in use stays: through the kernel without the process, through FUSE with it; force says whom it hurts', () => {
  const end = { kind: 'end', uses: text('mounted', ''), force: false, leavable: true } as const;
  assert.deepEqual(kinds(attachStep('d', attached, end)), ['say', 'exit']);
  const stays = attachStep('d', attached, { ...end, leavable: false });
  assert.deepEqual([stays.state, kinds(stays)], [attached, ['say']]);
  assert.deepEqual(kinds(attachStep('d', attached, { ...end, force: true })), ['say', 'release', 'exit']);
  assert.deepEqual(kinds(attachStep('d', attached, { ...end, uses: undefined })), ['release', 'exit']);
  assert.deepEqual(kinds(attachStep('d', CONNECTING, end)), ['release', 'exit']);
});
test('that requests wait, and that they go on, is said once each', () => {
  const away = attachStep('d', attached, { kind: 'server-away', why: text('gone', '') });
  assert.deepEqual(kinds(away), ['say']);
  const back = attachStep('d', away.state, { kind: 'server-there' });
  assert.deepEqual([back.state, kinds(back)], [attached, ['say']]);
  assert.deepEqual(kinds(attachStep('d', back.state, { kind: 'server-there' })), []);
});

test('attempts come ever later, up to a second', () =>
  assert.deepEqual([0, 1, 5, 6, 1000].map(waitBefore), [20_000, 40_000, 640_000, 1_000_000, 1_000_000]));

/** Gives what the server says byte by byte, never more than is wanted. */
function shake(said: readonly Uint8Array[]): { outcome: ClientOutcome; sent: number; left: number } {
  const c = new ClientHandshake('d');
  let rest = Buffer.concat(said);
  let outcome: ClientOutcome = { is: 'under-way' };
  let sent = 0;
  while (outcome.is === 'under-way' && rest.length > 0) {
    const n = Math.min(c.wants, rest.length, 3);
    assert.ok(n > 0);
    outcome = c.feed(rest.subarray(0, n), (b) => {
      sent += b.length;
    });
    rest = rest.subarray(n);
  }
  return { outcome, sent, left: rest.length };
}
const reply = (type: number, data: Uint8Array = new Uint8Array(0)): Uint8Array =>
  encodeOptionReply({ option: NBD_OPTION.go, type, data });
test('the handshake learns size and blocks, and leaves what follows to the kernel', () => {
  const { outcome, left } = shake([
    encodeGreeting({ flags: 3 }),
    reply(NBD_REPLY.info, encodeInfo({ kind: 'export', size: 8192n, flags: 5 })),
    reply(NBD_REPLY.info, encodeInfo({ kind: 'block-size', minimum: 512, preferred: 4096, maximum: 1 << 25 })),
    reply(NBD_REPLY.ack),
    new Uint8Array(40),
  ]);
  assert.deepEqual(outcome, {
    is: 'ready',
    offer: { size: 8192, flags: 5, minimumBlock: 512, preferredBlock: 4096 },
  });
  assert.equal(left, 40);
});
test('what cannot be attached is refused in words: no NBD, no export, TLS, a size beyond 2^53', () => {
  const why = (...said: Uint8Array[]): string => {
    const { outcome } = shake(said);
    return outcome.is === 'refused' ? outcome.why.en : outcome.is;
  };
  assert.match(why(new Uint8Array(18)), /no NBD server/);
  assert.match(why(encodeGreeting({ flags: 3 }), reply(NBD_REPLY.unknown)), /no export d/);
  assert.match(why(encodeGreeting({ flags: 3 }), reply(NBD_REPLY.tlsRequired)), /wants TLS/);
  const policy = reply(NBD_REPLY.policy, new TextEncoder().encode('data is\u001b[31m secondary'));
  assert.equal(why(encodeGreeting({ flags: 3 }), policy), 'the server says: data is [31m secondary');
  const huge = encodeInfo({ kind: 'export', size: 1n << 60n, flags: 1 });
  assert.match(why(encodeGreeting({ flags: 3 }), reply(NBD_REPLY.info, huge)), /larger than 8 PiB/);
});
