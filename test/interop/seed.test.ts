/** The file from the field, byte for byte, on two directors of different make. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Lab, type LabDefinition } from '../../src/lab/index.ts';
import { AddressBook } from './addresses.ts';
import { SLACK, STARTING } from './exchange.ts';
import { command, type Software } from './rig.ts';

const root = join(import.meta.dirname, '../..');
const example = (name: string): string => readFileSync(join(root, 'examples', name), 'utf8');
const definition = JSON.parse(example('two-directors.lab.json')) as LabDefinition;
const VIP = '192.168.1.99';
/** 3 x 1 s and the skew of priority 96, and what a busy machine may be late, programs being started included. */
const TAKEOVER = 3625 + SLACK + STARTING;

test('the example is the field file byte for byte', (t) => {
  const corpus = process.env['HOLDFAST_CORPUS'] ?? join(root, '../shared/corpus');
  const original = join(corpus, 'keepalived/seed.conf');
  if (!existsSync(original)) return t.skip(`no ${original}`);
  assert.ok(readFileSync(original).equals(readFileSync(join(root, 'examples/seed.conf'))));
});

test('the lab of the example plants the example files', () => {
  const file = '/etc/keepalived/keepalived.conf';
  assert.equal(definition.hosts['ha1']?.files?.[file], example('two-directors-peer.conf'));
  assert.equal(definition.hosts['ha2']?.files?.[file], example('seed.conf'));
});

describe('seed.conf on Holdfast and keepalived', { concurrency: 2 }, () => {
  for (const [ha1, ha2] of [
    ['holdfast', 'keepalived'],
    ['keepalived', 'holdfast'],
  ] as const satisfies readonly (readonly [Software, Software])[])
    test(`ha1 ${ha1} (100) is master, ha2 ${ha2} (seed.conf, 96) takes over and gives back`, async (t) => {
      const lab = await Lab.start(definition);
      t.after(() => lab.stop());
      const addresses = new AddressBook();
      for (const name of ['ha1', 'ha2']) await addresses.follow(lab.host(name));
      const start = (name: string, software: Software) => lab.host(name).spawn(command(software, true));
      const daemons = [start('ha2', ha2)];
      const said = (): string =>
        daemons
          .map((d) =>
            d.lines
              .slice(-15)
              .map((l) => l.text)
              .join('\n'),
          )
          .join('\n--\n');
      const holder = (name: string): Promise<void> =>
        addresses.until(
          () => addresses.holders(VIP).join() === name,
          TAKEOVER,
          () => `${name} alone should hold ${VIP}: [${addresses.holders(VIP)}]\n${said()}`,
        );
      await holder('ha2');
      daemons.push(start('ha1', ha1));
      await holder('ha1');
      await lab.host('ha1').powerCut();
      await holder('ha2');
      await lab.host('ha1').powerOn();
      await addresses.follow(lab.host('ha1'));
      daemons.push(start('ha1', ha1));
      await holder('ha1');
    });
});
