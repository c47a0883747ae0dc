import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type IpAddress, ok } from '../../../base/index.ts';
import type { Netlink, Network } from '../../../host/index.ts';
import type { WantedService } from '../../types.ts';
import { serviceMark } from '../marks.ts';
import { type ElementSpec, type TableCommand, valueBytes } from '../nftables/index.ts';
import { fellows } from './direct.ts';
import { Fellows } from './fellows.ts';
import type { ServiceImage } from './image.ts';

const REACHABLE = 2;
const INCOMPLETE = 1;
const mac = (n: number): string => `02:00:00:00:00:0${n}`;
const image = (id: number, servers: readonly (readonly [last: number, device: number])[]): ServiceImage => ({
  id,
  kind: undefined,
  slots: new Uint16Array(0),
  entries: [],
  servers: servers.map(([last, device], i) => ({
    number: i + 1,
    address: `192.0.2.${last}` as IpAddress,
    port: 0,
    open: false,
    device,
  })),
});
/** Services by key, the set in the kernel, and what the neighbour table says. */
class World {
  readonly images = new Map<string, ServiceImage>();
  readonly set = new Map<string, ElementSpec>();
  neighbours: { address: string; mac: string; state: number }[] = [];
  asked = 0;
  changes = 0;
  readonly table = {
    readings: 1,
    services: [] as WantedService[],
    image: (key: string) => this.images.get(key),
    kernel: {
      elements: (_: string, take: (e: { key: Uint8Array }) => void) => {
        for (const e of this.set.values()) take({ key: valueBytes(fellows.key, e.key) });
        return ok(undefined);
      },
      apply: (commands: readonly TableCommand[]) => {
        this.changes++;
        for (const c of commands) {
          if (c.do === 'elements-add') for (const e of c.elements) this.set.set(e.key.join(' '), e);
          if (c.do === 'elements-remove') for (const e of c.elements) this.set.delete(e.key.join(' '));
        }
        return ok(undefined);
      },
    },
  };
  readonly #network = { neighbours: () => ok(this.neighbours.map((n) => ({ ifindex: 2, ...n }))) };
  readonly #netlink = {
    open: () =>
      ok({
        transact: (r: readonly unknown[]) => {
          this.asked += r.length;
          return r.map(() => ({ errno: 0 }));
        },
        close: () => {},
      }),
  };
  readonly all = new Fellows(
    this.table,
    this.#network as unknown as Pick<Network, 'neighbours'>,
    this.#netlink as unknown as Netlink,
  );
  carry(key: string, i: ServiceImage): void {
    this.images.set(key, i);
    if (!this.table.services.some((s) => s.key === key)) this.table.services.push({ key } as WantedService);
  }
  held(): string[] {
    this.all.tick();
    return [...this.set.keys()].sort();
  }
}

test('of a service that has this host among its servers, the others are known by link address; of other services nobody is', () => {
  const w = new World();
  w.carry(
    'a',
    image(5, [
      [1, 0],
      [2, 7],
      [3, 7],
    ]),
  );
  w.carry(
    'b',
    image(6, [
      [2, 7],
      [3, 7],
    ]),
  );
  w.carry(
    'c',
    image(7, [
      [1, 0],
      [3, 7],
    ]),
  );
  w.neighbours = [
    { address: '192.0.2.2', mac: mac(2), state: REACHABLE },
    { address: '192.0.2.3', mac: mac(3), state: REACHABLE },
  ];
  assert.deepEqual(w.held(), [
    `${mac(2)} ${serviceMark(5)}`,
    `${mac(3)} ${serviceMark(5)}`,
    `${mac(3)} ${serviceMark(7)}`,
  ]);
  w.held();
  assert.deepEqual([w.changes, w.asked], [1, 2], 'nothing is written or asked for twice');
});
test('what is not resolved yet is not known; what changes is followed; a server that goes is forgotten', () => {
  const w = new World();
  w.carry(
    'a',
    image(5, [
      [1, 0],
      [2, 7],
    ]),
  );
  w.neighbours = [{ address: '192.0.2.2', mac: mac(2), state: INCOMPLETE }];
  assert.deepEqual(w.held(), []);
  w.neighbours = [{ address: '192.0.2.2', mac: mac(2), state: REACHABLE }];
  assert.deepEqual(w.held(), [`${mac(2)} ${serviceMark(5)}`]);
  w.neighbours = [{ address: '192.0.2.2', mac: mac(4), state: REACHABLE }];
  assert.deepEqual(w.held(), [`${mac(4)} ${serviceMark(5)}`]);
  w.carry('a', image(5, [[1, 0]]));
  assert.deepEqual(w.held(), []);
});
test('what an earlier process left is taken as it is, or away; a table that was made anew is filled again', () => {
  const w = new World();
  w.carry(
    'a',
    image(5, [
      [1, 0],
      [2, 7],
    ]),
  );
  w.neighbours = [{ address: '192.0.2.2', mac: mac(2), state: REACHABLE }];
  const stale: ElementSpec = { key: [mac(9) as never, serviceMark(9)] };
  w.set.set(stale.key.join(' '), stale);
  const wanted = [`${mac(2)} ${serviceMark(5)}`];
  assert.deepEqual(w.held(), wanted);
  w.set.clear();
  w.table.readings++;
  assert.deepEqual(w.held(), wanted);
});
