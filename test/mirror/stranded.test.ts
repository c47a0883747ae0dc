/** A device that is there when its host is not to be primary: it keeps a policy from demoting, and is told of where it is left. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MirrorPair, PairHost } from '../../src/lab/index.ts';
import { begin, CALM, good, inSync, MIB, noDevices, startPair, until } from '../support/mirror-pair.ts';

const LOST = '/run/lost';
const SECTIONS = `net { ${CALM} after-sb-0pri discard-least-changes; after-sb-1pri call-pri-lost-after-sb; }
disk { c-plan-ahead 0; resync-rate 200M; }
handlers { pri-lost-after-sb "touch ${LOST}"; }`;
const write = (pair: MirrorPair, h: PairHost, count: number): ReturnType<MirrorPair['run']> =>
  pair.run(h, [
    'dd',
    'if=/dev/urandom',
    'of=/dev/holdfast/data',
    'bs=4096',
    `count=${count}`,
    'oflag=direct',
    'status=none',
  ]);
const options = { skip: noDevices, timeout: 240_000 };

test(
  'a primary with its device gives up no split brain by policy: the device goes on, and the administrator is called',
  options,
  async (t) => {
    const pair = await startPair(t, { size: 32 * MIB, sections: SECTIONS });
    await begin(pair);
    await good(pair.mirror('ha1', 'disconnect', 'data'));
    await good(write(pair, 'ha1', 1));
    await good(pair.mirror('ha2', 'disconnect', 'data'));
    await good(pair.mirror('ha2', 'primary', 'data'));
    await good(write(pair, 'ha2', 100));
    await good(pair.mirror('ha2', 'secondary', 'data'));
    for (const h of ['ha1', 'ha2'] as const) await good(pair.mirror(h, 'connect', 'data'));
    await until(pair, 'ha1', (v) => v.role === 'Primary' && v.connection === 'StandAlone', 'left alone as primary');
    await good(
      pair.run('ha1', ['sh', '-c', `for i in $(seq 600); do test -e ${LOST} && exit; sleep 0.1; done; exit 1`]),
    );
    await good(write(pair, 'ha1', 2));
    const log = await good(pair.run('ha1', ['cat', '/run/holdfast/mirror/data.log']));
    assert.match(log, /this side lost the split brain and cannot become secondary: it is in use/);

    // As the administrator does: without its device it gives in.
    await good(pair.mirror('ha1', 'secondary', 'data'));
    for (const h of ['ha1', 'ha2'] as const) await good(pair.mirror(h, 'connect', 'data'));
    await until(pair, 'ha1', (v) => v.role === 'Secondary' && inSync(v), 'what the other one has');
    assert.equal((await pair.mirror('ha1', 'status')).exit.code, 0, 'what was asked for leaves nothing');
  },
);

test(
  'a device that a killed primary left is told of when the other host has taken over, with what to type',
  options,
  async (t) => {
    const pair = await startPair(t, { size: 32 * MIB, sections: SECTIONS });
    await begin(pair);
    await good(pair.run('ha1', ['pkill', '-KILL', '-f', 'mirror (keep|run) data']));
    await until(pair, 'ha2', (v) => v.connection === 'WFConnection', 'alone');
    await good(pair.mirror('ha2', 'primary', 'data'));
    await good(write(pair, 'ha2', 100));
    await good(pair.up('ha1'));
    await until(pair, 'ha1', (v) => v.role === 'Secondary' && inSync(v), 'what the other one has');

    const status = await pair.mirror('ha1', 'status');
    assert.equal(status.exit.code, 8, status.stdout);
    assert.match(
      status.stdout,
      /\/dev\/holdfast\/data is there though ha1 is not primary.*holdfast detach data --force/,
    );
    assert.equal((await pair.mirror('ha2', 'status')).exit.code, 0, 'the other one has nothing of that');

    let over = false;
    const waits = write(pair, 'ha1', 2).finally(() => {
      over = true;
    });
    await sleep(1000);
    assert.equal(over, false, 'a secondary takes no write');
    await good(pair.mirror('ha2', 'secondary', 'data'));
    await good(pair.mirror('ha1', 'primary', 'data'));
    await good(waits);
    await until(pair, 'ha1', inSync, 'in sync');
    assert.equal((await pair.mirror('ha1', 'status')).exit.code, 0);
  },
);
