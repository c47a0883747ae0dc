/** Who stays and who goes between Holdfast and keepalived 2.2.7: nopreempt, equal priorities, a master beside a master. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { now } from '../../src/lab/index.ts';
import { withoutTcpdump } from '../support/tcpdump.ts';
import { renderConf } from './conf.ts';
import { roles, SLACK, STARTING } from './exchange.ts';
import { LINK, Rig, routerAddress } from './rig.ts';

const VIP = '10.9.0.50';
const ADVERT_INT = 0.5;
/** Three intervals, at most one more of skew, and a program that has just been started. Milliseconds. */
const TAKEOVER = 4 * ADVERT_INT * 1000 + SLACK + STARTING;
/** Long enough that whoever wants to take over has done so. Milliseconds. */
const LONG = 8 * ADVERT_INT * 1000 + 1000;

async function pair(
  t: TestContext,
  role: (typeof roles)[number],
  priorities: readonly [number, number],
  lines: readonly string[] = [],
): Promise<Rig> {
  const conf = (priority: number): string =>
    renderConf({
      instances: [
        {
          name: 'VI_1',
          vrid: 51,
          interface: LINK,
          version: 3,
          priority,
          advertInt: ADVERT_INT,
          addresses: [VIP],
          lines,
        },
      ],
    });
  const rig = await Rig.start({
    detail: true,
    routers: {
      r1: { software: role.master, conf: conf(priorities[0]) },
      r2: { software: role.backup, conf: conf(priorities[1]) },
    },
  });
  t.after(() => rig.stop());
  return rig;
}
async function nothingMoves(rig: Rig): Promise<void> {
  const since = now();
  await sleep(LONG);
  assert.deepEqual(rig.addresses.changesSince(since), []);
}

describe('preemption between Holdfast and keepalived', { concurrency: 4 }, () => {
  for (const role of roles) {
    const who = `r1 ${role.master}, r2 ${role.backup}`;

    test(`nopreempt: a better router that comes back stays backup, and takes over when it is needed (${who})`, async (t) => {
      const rig = await pair(t, role, [150, 100], ['nopreempt']);
      rig.startDaemon('r2');
      await rig.holder(VIP, 'r2', TAKEOVER);
      rig.startDaemon('r1');
      await nothingMoves(rig);
      await rig.host('r2').powerCut();
      await rig.holder(VIP, 'r1', TAKEOVER);
      await rig.powerOn('r2');
      rig.startDaemon('r2');
      await nothingMoves(rig);
    });

    test(`equal priorities: the sitting master stays, whoever has the higher address (${who})`, async (t) => {
      const rig = await pair(t, role, [100, 100]);
      rig.startDaemon('r1');
      await rig.holder(VIP, 'r1', TAKEOVER);
      rig.startDaemon('r2');
      await nothingMoves(rig);
      await rig.stopDaemon('r1');
      await rig.holder(VIP, 'r2', TAKEOVER);
      rig.startDaemon('r1');
      await nothingMoves(rig);
    });

    test(`equal priorities: of two masters, the one with the higher address wins (${who})`, async (t) => {
      const rig = await pair(t, role, [100, 100]);
      rig.startDaemon('r1');
      await rig.holder(VIP, 'r1', TAKEOVER);
      rig.startDaemon('r2');
      await sleep(500);
      await rig.lab.partition([['r1'], ['r2', 'client']]);
      await rig.until(
        () => rig.addresses.holders(VIP).join() === 'r1,r2',
        TAKEOVER,
        () => 'each side of the partition should have a master',
      );
      await rig.lab.heal();
      await rig.holder(VIP, 'r2', TAKEOVER);
      await nothingMoves(rig);
    });

    test(`of two masters the one with the higher priority wins, and only it sends adverts then (${who})`, {
      skip: withoutTcpdump,
    }, async (t) => {
      const rig = await pair(t, role, [150, 100]);
      const packets = await rig.packets();
      rig.startDaemon('r2');
      await rig.holder(VIP, 'r2', TAKEOVER);
      rig.startDaemon('r1');
      await rig.holder(VIP, 'r1', TAKEOVER);
      await rig.separate('r1', 'r2');
      await rig.until(
        () => rig.addresses.holders(VIP).join() === 'r1,r2',
        TAKEOVER,
        () => 'both should be master while they do not hear each other',
      );
      await rig.rejoin('r1', 'r2');
      await rig.holder(VIP, 'r1', TAKEOVER);
      await sleep(LONG);
      assert.deepEqual(packets.senders(LONG / 2), [routerAddress(1)]);
    });
  }
});
