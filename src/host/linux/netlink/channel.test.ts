/** The channel with generic netlink on this kernel: every kernel has the controller of that protocol. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { text } from '../../../base/index.ts';
import { decodeGenericFamily, GENL_ID_CTRL, type NetlinkWriter, writeFamilyRequest } from '../../../wire/index.ts';
import type { NetlinkChannel, NetlinkRequest } from '../../index.ts';
import { loadAddon } from '../addon.ts';
import { linuxNetlink } from './channel.ts';

const DOING = text('try it', '试一试');
function withChannel(use: (c: NetlinkChannel) => void): void {
  const addon = loadAddon();
  assert.ok(addon.ok);
  const opened = linuxNetlink(addon.value).open('generic');
  assert.ok(opened.ok);
  use(opened.value);
  opened.value.close();
}
const familyRequest = (name: string): NetlinkRequest => ({
  type: GENL_ID_CTRL,
  flags: 0,
  write: (w: NetlinkWriter) => writeFamilyRequest(w, name),
});

test('a question is answered by its own messages', () =>
  withChannel((c) => {
    for (let i = 0; i < 3; i++) {
      const answer = c.ask(familyRequest('nlctrl'), DOING);
      assert.ok(answer.ok);
      assert.equal(answer.value.length, 1);
      const family = decodeGenericFamily(answer.value[0]?.payload ?? new Uint8Array(0));
      assert.ok(family.ok);
      assert.deepEqual([family.value.id, family.value.name], [GENL_ID_CTRL, 'nlctrl']);
    }
  }));

test('a question without an answer is an error with its name, and the next one is answered', () =>
  withChannel((c) => {
    const answer = c.ask(familyRequest('no-such-family'), DOING);
    assert.ok(!answer.ok);
    assert.equal(answer.error.code, 'ENOENT');
    assert.equal(answer.error.doing.en.startsWith('try it'), true);
    assert.ok(c.ask(familyRequest('nlctrl'), DOING).ok);
  }));

test('a table is read whole, and the controller is in its own', () =>
  withChannel((c) => {
    const names: string[] = [];
    let begun = 0;
    const read = c.dump(
      { type: GENL_ID_CTRL, write: (w) => w.u8(3).u8(1).u16(0) },
      DOING,
      () => {
        begun++;
        names.length = 0;
      },
      (m) => {
        const family = decodeGenericFamily(m.payload);
        if (family.ok) names.push(family.value.name);
      },
    );
    assert.ok(read.ok);
    assert.ok(begun >= 1);
    assert.ok(names.includes('nlctrl'));
  }));

test('of many requests each has its own outcome, in their order, however many fit a datagram', () =>
  withChannel((c) => {
    const requests = Array.from({ length: 1500 }, (_, i) => familyRequest(i % 500 === 7 ? 'no-such-family' : 'nlctrl'));
    const outcomes = c.transact(requests);
    assert.equal(outcomes.length, 1500);
    outcomes.forEach((o, i) => {
      assert.equal(o.errno, i % 500 === 7 ? 2 : 0, `${i}`);
    });
  }));
