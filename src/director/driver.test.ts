import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type IpAddress, ok, text, us } from '../base/index.ts';
import type { LogEvent, NetChange, Network } from '../host/index.ts';
import type { CheckReport, CheckSpec } from './check.ts';
import type { DirectorConfig, VirtualServer } from './config.ts';
import { Director, type DirectorMemory, type DirectorOptions } from './driver.ts';
import { exampleCheck, exampleDirector, exampleServer, exampleService } from './example.ts';
import type { Plane, PlaneName, Wanted } from './types.ts';

const A = '192.168.1.11:80';
const B = '192.168.1.12:80';
const VS = 'tcp 192.168.1.99:80';
const at = (n: number): VirtualServer['service'] => ({
  by: 'address',
  address: `192.168.1.${n}` as IpAddress,
  port: 80,
  protocol: 'tcp',
});
const pair = (more: Partial<VirtualServer> = {}): VirtualServer =>
  exampleService([exampleServer('192.168.1.11'), exampleServer('192.168.1.12')], more);

/** A director with everything around it made of paper. */
class Desk {
  now = 0;
  readonly log: LogEvent[] = [];
  readonly heard: string[] = [];
  /** Everything that happened outside, in its order. */
  readonly order: string[] = [];
  readonly told: [PlaneName, Wanted][] = [];
  readonly closed: boolean[] = [];
  specs: readonly CheckSpec[] = [];
  refuses: Partial<Record<PlaneName, string>> = {};
  fails: string | undefined;
  addresses: string[] = [];
  surveys = 0;
  gateway: string | undefined;
  readonly director: Director;
  #report: (r: CheckReport) => void = () => {};
  #changed: (c: NetChange) => void = () => {};
  #timers: { due: number; run: () => void }[] = [];

  constructor(
    config: DirectorConfig,
    options: Partial<DirectorOptions> & {
      names?: PlaneName[];
      addresses?: string[];
      gateway?: string;
      /** Told before it starts. */
      master?: string;
    } = {},
  ) {
    this.addresses = options.addresses ?? [];
    this.gateway = options.gateway;
    this.director = new Director(
      config,
      {
        clock: {
          now: () => us(this.now),
          wall: () => 0 as never,
          at: (due, run) => {
            const timer = { due, run };
            this.#timers.push(timer);
            return () => {
              this.#timers = this.#timers.filter((t) => t !== timer);
            };
          },
        },
        log: { write: (e) => this.log.push(e) },
        network: this.#network(),
        planes: (options.names ?? ['bpf']).map((n) => this.#plane(n)),
        checks: (report) => {
          this.#report = report;
          const set = (specs: readonly CheckSpec[]): void => {
            this.specs = specs;
          };
          return { set, close: () => this.order.push('checks closed') };
        },
      },
      {
        ...options,
        notify: (n) => {
          this.order.push(`notify ${n.of} ${n.word}`);
          if (n.fifo) this.heard.push(n.fifo.trim());
        },
      },
    );
    if (options.master) this.director.vrrpState(options.master, { master: true, virtualRouterId: 33 });
    this.director.start();
  }
  #network(): Network {
    const unused = (): never => {
      throw new Error('bug: not asked for here');
    };
    return {
      links: () => [],
      linkByName: () => undefined,
      linkByIndex: () => undefined,
      addresses: () => {
        this.surveys++;
        const held = this.addresses as IpAddress[];
        return held.map((address) => ({ ifindex: 2, prefix: { address, length: 24 }, scope: 'global' }));
      },
      routes: () =>
        ok(
          this.gateway === undefined
            ? []
            : [
                {
                  family: 4,
                  type: 'unicast',
                  table: 254,
                  protocol: 2,
                  scope: 'global',
                  hops: [{ via: this.gateway as IpAddress }],
                },
              ],
        ),
      rules: unused,
      neighbours: unused,
      apply: unused,
      watch: (changed) => {
        this.#changed = changed;
        return () => {};
      },
      drain: () => {},
    };
  }
  #plane(name: PlaneName): Plane {
    return {
      name,
      refuses: () => {
        const why = this.refuses[name];
        return why === undefined ? undefined : { code: 'no', text: text(why, why) };
      },
      apply: (w) => {
        this.order.push(`apply ${name}`);
        this.told.push([name, w]);
        return w.services.map((s) => ({
          key: s.key,
          result:
            s.key === this.fails
              ? { ok: false, error: { code: 'EBUSY', doing: text('write', '写') } }
              : ok('changed' as const),
        }));
      },
      counters: () => ok([]),
      close: ({ keep }) => void this.closed.push(keep),
    };
  }
  check(server: string, verdict: 'up' | 'down', service = VS): void {
    const spec = this.specs.find((s) => s.service === service && s.server === server);
    assert.ok(spec, `${server} of ${service} is checked`);
    const good = verdict === 'up';
    this.#report({
      id: spec.id,
      at: us(this.now),
      good,
      verdict,
      failures: good ? 0 : 1,
      latency: us(300),
      reason: text('r', 'r'),
    });
  }
  move(addresses: string[]): void {
    this.addresses = addresses;
    for (let i = 0; i < 50; i++) this.#changed({ kind: 'resync' });
    this.wait(0);
  }
  wait(seconds: number): void {
    const end = this.now + seconds * 1_000_000;
    for (;;) {
      const next = this.#timers.filter((t) => t.due <= end).sort((a, b) => a.due - b.due)[0];
      if (!next) break;
      this.#timers = this.#timers.filter((t) => t !== next);
      this.now = Math.max(this.now, next.due);
      next.run();
    }
    this.now = end;
  }
  /** What the plane was told last. */
  plan(service = VS): string[] | undefined {
    const last = this.told.at(-1)?.[1].services.find((s) => s.key === service);
    return last?.servers.map((s) => `${s.key}=${s.weight}`);
  }
  lines(code: string): string[] {
    return this.log.filter((e) => e.code === code).map((e) => e.text.en);
  }
}

test('a server’s death is in the plane before the report’s call returns, and before anybody is told', () => {
  const desk = new Desk(exampleDirector([pair()]));
  desk.order.length = 0;
  desk.check(A, 'down');
  assert.deepEqual(desk.plan(), [`${B}=1`]);
  assert.deepEqual(desk.order, ['apply bpf', 'notify RS DOWN']);
});

test('reports that say nothing new reach no plane, and are shown with their latency', () => {
  const desk = new Desk(exampleDirector([pair()]));
  const before = desk.told.length;
  for (let i = 0; i < 100; i++) desk.check(A, 'up');
  assert.equal(desk.told.length, before);
  const status = desk.director.status().services[0]?.servers[0];
  assert.deepEqual([status?.state, status?.planeWeight, status?.checks[0]?.last?.latency], ['up', 1, 300]);
});

test('a server that never turned is shown as its attempts say: dead, if it was awaited and fails still', () => {
  const awaited = exampleServer('192.168.1.11', { checkers: [exampleCheck('192.168.1.11', { alpha: true })] });
  const desk = new Desk(exampleDirector([exampleService([awaited, exampleServer('192.168.1.12')])]));
  const shown = (): (string | undefined)[] =>
    desk.director.status().services[0]?.servers.map((x) => `${x.state}: ${x.because.en}`) ?? [];
  assert.deepEqual(shown(), [
    'waiting: the first success of its checks is awaited (alpha)',
    'up: taken for good until a check fails',
  ]);
  desk.check(A, 'down');
  desk.check(B, 'up');
  assert.deepEqual(shown(), ['down: tcp 192.168.1.11:80: r', 'up: tcp 192.168.1.12:80: r']);
});

test('a reload that changes one service gives the plane the others as the very same objects, and leaves their checks', () => {
  const services = [91, 92, 93].map((n) => pair({ service: at(n) }));
  const desk = new Desk(exampleDirector(services));
  desk.check(A, 'down', 'tcp 192.168.1.91:80');
  const before = desk.told.at(-1)?.[1].services;
  const changed = exampleService([exampleServer('192.168.1.11', { weight: 5 })], { service: at(92) });
  desk.director.reload(exampleDirector([pair({ service: at(91) }), changed, pair({ service: at(93) })]));
  const after = desk.told.at(-1)?.[1].services;
  assert.deepEqual(
    after?.map((s, i) => s === before?.[i]),
    [true, false, true],
  );
  assert.deepEqual(desk.plan('tcp 192.168.1.91:80'), [`${B}=1`]);
  assert.equal(desk.specs.length, 5);
});

test('a reload of the same configuration tells no plane and nobody', () => {
  const desk = new Desk(exampleDirector([pair(), pair({ service: at(98) })]));
  desk.order.length = 0;
  desk.director.reload(exampleDirector([pair(), pair({ service: at(98) })]));
  assert.deepEqual(desk.order, []);
});

test('a service that no plane can carry is one clear line; the others go on', () => {
  const desk = new Desk(exampleDirector([pair(), pair({ service: at(98), options: { plane: 'nft' } })]));
  assert.deepEqual(desk.lines('lb.refused'), [
    'tcp 192.168.1.98:80 cannot be carried: nft cannot: it is not available on this host',
  ]);
  assert.equal(desk.plan('tcp 192.168.1.98:80'), undefined);
  assert.deepEqual(desk.plan(), [`${A}=1`, `${B}=1`]);
  assert.deepEqual(
    desk.director.status().services.map((s) => s.places[0]?.plane),
    ['bpf', undefined],
  );
});

test('what is written twice is used once, and said', () => {
  const desk = new Desk(
    exampleDirector([
      pair(),
      pair(),
      exampleService([exampleServer('192.168.1.11'), exampleServer('192.168.1.11')], { service: at(98) }),
    ]),
  );
  assert.deepEqual(desk.lines('lb.refused'), [
    'tcp 192.168.1.99:80 is written twice; the first is used',
    '192.168.1.11:80 of tcp 192.168.1.98:80 is written twice; the first is used',
  ]);
  assert.equal(desk.director.status().services.length, 2);
});

test('a plane that fails is tried again each second; the failure and its end are told once', () => {
  const desk = new Desk(exampleDirector([pair()]));
  desk.fails = VS;
  desk.check(A, 'down');
  desk.wait(3.5);
  assert.deepEqual(desk.lines('lb.plane-failed'), [`bpf could not be told of ${VS}: write: EBUSY`]);
  desk.fails = undefined;
  const before = desk.told.length;
  desk.wait(3);
  assert.equal(desk.told.length, before + 1);
  assert.deepEqual(desk.lines('lb.plane-recovered'), [`bpf holds ${VS} again as it should be`]);
});

test('a drain that would lose the quorum is refused with what would come of it, and done when it is forced', () => {
  const desk = new Desk(exampleDirector([pair({ quorum: 2 })]));
  const refused = desk.director.drain(VS, A);
  assert.deepEqual(
    refused.ok ? '' : refused.error.en,
    `not done: ${VS} lost its quorum: living weights sum to 1, below 2; from 2 on it is back (--force does it all the same)`,
  );
  assert.deepEqual(desk.plan(), [`${A}=1`, `${B}=1`]);
  assert.ok(desk.director.drain(VS, A, { force: true, for: us(5_000_000) }).ok);
  assert.deepEqual(desk.plan(), [`${A}=0`, `${B}=1`]);
  desk.wait(5);
  assert.deepEqual(desk.plan(), [`${A}=1`, `${B}=1`], 'it ended by itself');
});

test('an operator’s mistake changes nothing and says what is wrong', () => {
  const desk = new Desk(exampleDirector([pair()]));
  const before = desk.told.length;
  const said = [
    desk.director.drain('tcp 1.2.3.4:80', A),
    desk.director.undrain(VS, '1.2.3.4:80'),
    desk.director.setWeight(VS, A, 70_000),
  ].map((r) => (r.ok ? '' : r.error.en));
  assert.deepEqual(said, [
    'there is no service tcp 1.2.3.4:80',
    `${VS} has no server 1.2.3.4:80`,
    'weight 70000 is outside 0..65535',
  ]);
  assert.equal(desk.told.length, before);
});

test('ha_suspend: checks run while the address is here, and pause when it goes', () => {
  const desk = new Desk(exampleDirector([pair({ haSuspend: true }), pair({ service: at(98) })]));
  const paused = (): (boolean | undefined)[] => desk.specs.map((s) => s.suspended);
  assert.deepEqual(paused(), [true, true, false, false]);
  const looked = desk.surveys;
  desk.move(['192.168.1.99']);
  assert.deepEqual(paused(), [false, false, false, false]);
  assert.equal(desk.surveys, looked + 1, 'fifty notices of one moment are looked into once');
  desk.check(A, 'down');
  desk.move([]);
  desk.check(A, 'up');
  assert.deepEqual(desk.plan(), [`${B}=1`], 'what comes late counts for nothing');
});

test('direct routing across a gateway: that server is refused, the other serves; when its subnet comes it serves too', () => {
  const services = [exampleService([exampleServer('10.9.0.1'), exampleServer('127.0.0.1')])];
  const desk = new Desk(exampleDirector(services), { gateway: '192.168.1.1' });
  assert.deepEqual(desk.plan(), ['127.0.0.1:80=1']);
  assert.match(desk.lines('lb.server')[0] ?? '', /^10\.9\.0\.1:80 of .* is down: DR needs it in a subnet of this host/);
  desk.gateway = undefined;
  desk.move(['10.9.0.2']);
  assert.deepEqual(desk.plan(), ['10.9.0.1:80=1', '127.0.0.1:80=1']);
});

test('the synchronisation daemons are wanted of IPVS alone and follow the instance', () => {
  const syncDaemon = { interface: 'eth0', instance: 'VI_1', port: 8848, group: '224.0.0.81' as IpAddress };
  const desk = new Desk(exampleDirector([pair()], { syncDaemon }), { names: ['ipvs', 'bpf'] });
  const roles = (name: PlaneName): string[] | undefined =>
    desk.told.findLast(([n]) => n === name)?.[1].sync.map((s) => `${s.role} ${s.id}`);
  assert.deepEqual([roles('ipvs'), roles('bpf')], [[], []]);
  desk.director.vrrpState('VI_1', { master: true, virtualRouterId: 33 });
  assert.deepEqual([roles('ipvs'), roles('bpf')], [['master 33'], []]);

  const next = new Desk(exampleDirector([pair()], { syncDaemon }), { names: ['ipvs'], master: 'VI_1' });
  assert.deepEqual(
    next.told.map(([, w]) => w.sync.map((s) => s.role)),
    [['master']],
    'a process that starts on the master begins with its role, and with all its services',
  );
  assert.equal(next.told[0]?.[1].services.length, 1);
});

test('a process that hands over leaves the planes alone, and the next one goes on from what is remembered', () => {
  const pools: Record<string, unknown> = {};
  const remember: DirectorOptions['remember'] = (key, m) => {
    pools[key] = m;
  };
  const desk = new Desk(exampleDirector([pair({ omega: true })]), { remember });
  desk.check(A, 'down');
  desk.heard.length = 0;
  desk.director.stop({ keep: true });
  assert.deepEqual([desk.closed, desk.heard], [[true], []]);
  const memory = JSON.parse(JSON.stringify({ pools })) as DirectorMemory;
  const next = new Desk(exampleDirector([pair({ omega: true })]), { memory });
  assert.deepEqual(next.plan(), [`${B}=1`]);
  assert.deepEqual(
    next.specs.map((s) => s.initial),
    ['down', 'up'],
  );
  assert.deepEqual(next.heard, []);
  next.director.stop({ keep: false });
  assert.deepEqual(next.heard, [
    'RS [192.168.1.12]:tcp:80 [192.168.1.99]:tcp:80 DOWN',
    'VS [192.168.1.99]:tcp:80 DOWN',
  ]);
});

test('10,000 services: a change of one reaches its plane with all the others untouched', () => {
  const services = Array.from({ length: 10_000 }, (_, i) =>
    pair({ service: { by: 'address', address: `10.${i >> 8}.${i & 255}.1` as IpAddress, port: 80, protocol: 'tcp' } }),
  );
  const desk = new Desk(exampleDirector(services));
  const before = desk.told.at(-1)?.[1].services;
  desk.check(A, 'down', 'tcp 10.3.7.1:80');
  const after = desk.told.at(-1)?.[1].services;
  assert.equal(after?.length, 10_000);
  assert.deepEqual(
    after?.flatMap((s, i) => (s === before?.[i] ? [] : [s.key])),
    ['tcp 10.3.7.1:80'],
  );
});
