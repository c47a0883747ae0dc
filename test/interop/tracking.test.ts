/** Sync groups, tracked scripts and a third router, Holdfast and keepalived 2.2.7 mixed. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { now } from '../../src/lab/index.ts';
import { withoutTcpdump } from '../support/tcpdump.ts';
import { type InstanceConf, renderConf } from './conf.ts';
import { roles, SLACK, STARTING } from './exchange.ts';
import { LINK, Rig, routerAddress, type Software } from './rig.ts';

const VIP = '10.9.0.50';
const SECOND_VIP = '10.10.0.50';
const ADVERT_INT = 0.5;
const TAKEOVER = 4 * ADVERT_INT * 1000 + SLACK + STARTING;
const LONG = 8 * ADVERT_INT * 1000 + 1000;

const instance = (priority: number, more: Partial<InstanceConf> = {}): InstanceConf => ({
  name: 'VI_1',
  vrid: 51,
  interface: LINK,
  version: 3,
  priority,
  advertInt: ADVERT_INT,
  addresses: [VIP],
  ...more,
});

describe('groups, scripts and three routers of Holdfast and keepalived', { concurrency: 4 }, () => {
  for (const role of roles) {
    const who = `r1 ${role.master}, r2 ${role.backup}`;

    test(`sync group: one link fails, and both instances move together, there and back (${who})`, async (t) => {
      const conf = (priority: number): string =>
        renderConf({
          instances: [
            instance(priority),
            instance(priority, { name: 'VI_2', vrid: 52, interface: 'eth1', addresses: [SECOND_VIP] }),
          ],
          after: ['vrrp_sync_group G1 {\n    group {\n        VI_1\n        VI_2\n    }\n}'],
        });
      const rig = await Rig.start({
        detail: true,
        links: 2,
        routers: {
          r1: { software: role.master, conf: conf(150) },
          r2: { software: role.backup, conf: conf(100) },
        },
      });
      t.after(() => rig.stop());
      const both = async (host: string): Promise<void> => {
        await rig.holder(VIP, host, TAKEOVER);
        await rig.holder(SECOND_VIP, host, TAKEOVER);
      };
      rig.startDaemon('r2');
      await both('r2');
      rig.startDaemon('r1');
      await both('r1');
      await rig.lab.link('r1', 'eth1').cut({ carrier: true });
      await both('r2');
      await rig.lab.link('r1', 'eth1').heal();
      await both('r1');
      const since = now();
      await sleep(LONG);
      assert.deepEqual(rig.addresses.changesSince(since), []);
    });

    test(`a tracked script lowers the priority: the other takes over, and gives back when it is well again (${who})`, {
      skip: withoutTcpdump,
    }, async (t) => {
      const script =
        'vrrp_script well {\n    script "/etc/keepalived/well.sh"\n    interval 1\n    timeout 30\n    weight -60\n    fall 1\n    rise 1\n}';
      const router = (software: Software, priority: number, lines: readonly string[]) => ({
        software,
        conf: renderConf({
          global: ['script_user root'],
          before: lines.length > 0 ? [script] : [],
          instances: [instance(priority, { lines })],
        }),
      });
      const rig = await Rig.start({
        detail: true,
        routers: {
          r1: router(role.master, 150, ['track_script {', '    well', '}']),
          r2: router(role.backup, 100, []),
        },
      });
      t.after(() => rig.stop());
      const packets = await rig.packets();
      rig.host('r1').write('/etc/keepalived/well.sh', '#!/bin/sh\n[ ! -e /run/ill ]\n', 0o755);
      rig.startDaemon('r2');
      await rig.holder(VIP, 'r2', TAKEOVER);
      rig.startDaemon('r1');
      await rig.holder(VIP, 'r1', TAKEOVER + 1000);

      const ill = now();
      rig.host('r1').write('/run/ill', '');
      await rig.holder(VIP, 'r2', TAKEOVER + 2000);
      await packets.until(
        () => packets.from(routerAddress(1), ill).some((a) => a.priority === 90),
        'the master tells its lowered priority until it is relieved',
      );

      await rig.host('r1').run(['rm', '/run/ill']);
      await rig.holder(VIP, 'r1', TAKEOVER + 2000);
      await packets.until(() => packets.from(routerAddress(1)).at(-1)?.priority === 150, 'the old priority');
    });
  }

  for (const softwares of [
    ['holdfast', 'keepalived', 'keepalived'],
    ['keepalived', 'holdfast', 'holdfast'],
    ['holdfast', 'keepalived', 'holdfast'],
  ] as const)
    test(`three routers (${softwares.join(', ')}): the best of those that live is master`, {
      skip: withoutTcpdump,
    }, async (t) => {
      const conf = (i: number): string => renderConf({ instances: [instance([150, 100, 50][i] as number)] });
      const rig = await Rig.start({
        detail: true,
        routers: Object.fromEntries(softwares.map((software, i) => [`r${i + 1}`, { software, conf: conf(i) }])),
      });
      t.after(() => rig.stop());
      const packets = await rig.packets();
      for (const name of ['r3', 'r2', 'r1']) {
        rig.startDaemon(name);
        await rig.holder(VIP, name, TAKEOVER);
      }
      await rig.host('r1').powerCut();
      await rig.holder(VIP, 'r2', TAKEOVER);
      await rig.stopDaemon('r2');
      await rig.holder(VIP, 'r3', TAKEOVER);
      await rig.powerOn('r1');
      rig.startDaemon('r1');
      await rig.holder(VIP, 'r1', TAKEOVER);
      rig.startDaemon('r2');
      const since = now();
      await sleep(LONG);
      assert.deepEqual(rig.addresses.changesSince(since), [], 'the second best comes back without a stir');
      assert.deepEqual(packets.senders(LONG / 2), [routerAddress(1)]);
    });
});
