/** A handshake that ends in a refusal: what is said of it, and what stays. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { text } from '../../../base/index.ts';
import { Rig, rigConfig } from '../rig.fixture.ts';

const auth = { algorithm: 'sha256', secret: { from: 'file', path: 'secret' } } as const;

test('a wrong secret is told, although the peer was never heard as a peer, and the peer is left the time to refuse us too', () => {
  const r = new Rig(rigConfig({ auth }), undefined, 'ours');
  r.ask({ verb: 'up' });
  r.meet();
  r.hear({ kind: 'P_AUTH_CHALLENGE', volume: 0, bytes: new Uint8Array(64).fill(9) });
  r.hear({ kind: 'P_AUTH_RESPONSE', volume: 0, bytes: new Uint8Array(32) });
  assert.equal(r.resource.connection, 'StandAlone');
  assert.match(r.resource.status().reasons.at(-1)?.text.en ?? '', /the peer has another shared-secret/);
  assert.ok(r.effects.some((e) => e.kind === 'close' && e.verdict));
  assert.equal(r.volume.disk, 'UpToDate');
});

test('who was told to discard its data says so also in the next try, when the first one broke off', () => {
  const r = new Rig();
  r.ask({ verb: 'up' });
  r.ask({ verb: 'disconnect', force: true });
  r.ask({ verb: 'connect', discardMyData: true });
  const flags = (): number | undefined => {
    for (const p of r.packets()) if (p.kind === 'P_UUIDS') return p.flags;
    return undefined;
  };
  r.meet();
  assert.equal(flags(), 1);
  r.resource.handle({ kind: 'closed', because: text('the cable', '网线') }, r.resource.now);
  r.run();
  r.meet();
  assert.equal(flags(), 1);
});
