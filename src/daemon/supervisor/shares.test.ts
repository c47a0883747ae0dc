import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exampleDirector, exampleServer, exampleService } from '../../director/index.ts';
import { exampleConfig } from '../../vrrp/index.ts';
import type { KeepalivedOptions } from '../command/options.ts';
import type { ReadConfig } from '../messages.ts';
import { directorSettings, notifyConfig } from './shares.ts';

const config = (director = exampleDirector([exampleService([exampleServer('10.0.0.1')])])): ReadConfig =>
  ({
    global: { processes: { checker: { noSwap: false, cpus: [] } } },
    vrrp: exampleConfig([]),
    director,
  }) as unknown as ReadConfig;
const options = (more: Partial<KeepalivedOptions> = {}): KeepalivedOptions =>
  ({ only: 'all', proxyHeader: 'none', ...more }) as KeepalivedOptions;
const of = (o: KeepalivedOptions, c = config()) =>
  directorSettings(c, o, { generation: 1, ledger: '/x' }).config.virtualServers;

test('with -P the director has nothing to do, with -C it has everything', () => {
  assert.deepEqual(of(options({ only: 'vrrp' })), []);
  assert.equal(of(options({ only: 'checkers' })).length, 1);
});
test('--lb-plane is for every virtual server that asks for none itself', () => {
  const own = exampleService([], { options: { plane: 'ipvs', floor: 1 } });
  const servers = of(options({ plane: 'nft' }), config(exampleDirector([exampleService([]), own])));
  assert.deepEqual(
    servers.map((v) => v.options),
    [{ plane: 'nft' }, { plane: 'ipvs', floor: 1 }],
  );
  assert.deepEqual(
    of(options()).map((v) => v.options),
    [undefined],
  );
});
test('a FIFO in common is opened once and told of both; the others of their own', () => {
  const vrrp = { ...exampleConfig([]), fifos: [{ path: '/run/both' }, { path: '/run/vrrp' }] };
  const director = exampleDirector([], { fifos: [{ path: '/run/lvs' }, { path: '/run/both' }] });
  const told = notifyConfig({ vrrp, director }).fifos.map((f) => [f.path, f.tells.vrrp, f.tells.checkers]);
  assert.deepEqual(told, [
    ['/run/both', true, true],
    ['/run/vrrp', true, false],
    ['/run/lvs', false, true],
  ]);
});
