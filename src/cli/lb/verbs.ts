/** The verbs of `holdfast lb`, once: dispatch and help come from here. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { LbDocument } from '../../api/index.ts';
import { err, ok, type Result, type Text, text } from '../../base/index.ts';
import { EXIT } from '../../daemon/index.ts';
import type { LbArguments } from './arguments.ts';
import { drain, undrain, weight } from './change.ts';
import { ipvsTable } from './ipvsadm.ts';
import { metrics } from './metrics.ts';
import { findService } from './names.ts';
import { ratesOf } from './rates.ts';
import { lbTroubles, renderConns, renderLb, renderTop } from './render.ts';
import { serveMetrics } from './serve.ts';
import { askDocument, type Failure, type Outcome } from './talk.ts';

export type LbVerb = {
  readonly name: string;
  readonly arguments: string;
  readonly help: Text;
  /** Those that are not for every verb. */
  readonly options: readonly string[];
  readonly run: (a: LbArguments) => Promise<Outcome>;
};

const say = (s: string): void => void process.stdout.write(s);
const json = (x: unknown): void => say(`${JSON.stringify(x)}\n`);

/** Only the services that were named. */
function only(d: LbDocument, names: readonly string[]): Result<LbDocument, Failure> {
  if (names.length === 0) return ok(d);
  const services = [];
  for (const name of names) {
    const found = findService(d, name);
    if (!found.ok) return err({ text: found.error, code: EXIT.wrong });
    services.push(found.value);
  }
  return ok({ ...d, services });
}
async function named(a: LbArguments): Promise<Result<LbDocument, Failure>> {
  const d = await askDocument(a);
  return d.ok ? only(d.value, a.names) : d;
}

async function status(a: LbArguments): Promise<Outcome> {
  const d = await named(a);
  if (!d.ok) return d;
  if (a.json) json(d.value);
  else say(renderLb(d.value, a.language));
  return ok(lbTroubles(d.value).length === 0 ? EXIT.done : EXIT.degraded);
}
async function conns(a: LbArguments): Promise<Outcome> {
  const d = await named(a);
  if (!d.ok) return d;
  const { services } = d.value;
  if (a.json)
    json(services.map((s) => ({ service: s.key, servers: s.servers.map((x) => ({ server: x.key, ...x.counters })) })));
  else say(renderConns(services, a.language));
  return ok(EXIT.done);
}
/** Two looks, an interval apart. */
async function twice(a: LbArguments): Promise<Result<{ before: LbDocument; after: LbDocument }, Failure>> {
  const before = await named(a);
  if (!before.ok) return before;
  await sleep(a.intervalMs);
  const after = await named(a);
  return after.ok ? ok({ before: before.value, after: after.value }) : after;
}
const CLEAR = '\u001b[H\u001b[2J';
async function top(a: LbArguments): Promise<Outcome> {
  let before = await named(a);
  if (!before.ok) return before;
  for (let n = 0; a.count === undefined || n < a.count; n++) {
    await sleep(a.intervalMs);
    const after = await named(a);
    if (!after.ok) return after;
    const rates = ratesOf(before.value, after.value);
    if (a.json) json({ at: after.value.at, rates: [...rates].map(([service, of]) => ({ service, servers: [...of] })) });
    else say((process.stdout.isTTY ? CLEAR : '') + renderTop(after.value, rates, a.language));
    before = after;
  }
  return ok(EXIT.done);
}
async function ipvsadm(a: LbArguments): Promise<Outcome> {
  if (a.rate) {
    const two = await twice(a);
    if (!two.ok) return two;
    say(ipvsTable(two.value.after, 'rate', ratesOf(two.value.before, two.value.after)));
    return ok(EXIT.done);
  }
  const d = await named(a);
  if (!d.ok) return d;
  say(ipvsTable(d.value, a.stats ? 'stats' : 'list'));
  return ok(EXIT.done);
}
async function exposition(a: LbArguments): Promise<Outcome> {
  if (a.serve !== undefined) return serveMetrics(a.serve, a, (d) => metrics(d));
  const d = await named(a);
  if (!d.ok) return d;
  say(metrics(d.value));
  return ok(EXIT.done);
}

export const LB_VERBS: readonly LbVerb[] = [
  {
    name: 'status',
    arguments: '[SERVICE...] [--json]',
    help: text('who serves, who does not, and why', '谁在服务、谁没有，以及原因'),
    options: ['json'],
    run: status,
  },
  {
    name: 'check',
    arguments: 'SERVICE | --real-server VIP',
    help: text('sends a probe through the real path and names the cause', '沿真实路径探测并指出原因'),
    options: ['json', 'real-server'],
    run: async (a) => (await import('./check.ts')).check(a),
  },
  {
    name: 'drain',
    arguments: 'SERVICE SERVER [--for TIME] [--wait] [--force]',
    help: text('no new connections; those that are there go on', '不再接受新连接；已有连接继续'),
    options: ['json', 'for', 'wait', 'force', 'interval'],
    run: drain,
  },
  {
    name: 'undrain',
    arguments: 'SERVICE SERVER',
    help: text('ends a drain', '结束排空'),
    options: ['json'],
    run: undrain,
  },
  {
    name: 'weight',
    arguments: 'SERVICE SERVER N|default [--force]',
    help: text('another weight, until it is given back', '临时改变权重'),
    options: ['json', 'force'],
    run: weight,
  },
  {
    name: 'conns',
    arguments: '[SERVICE...] [--json]',
    help: text('connections of each server', '各服务器的连接'),
    options: ['json'],
    run: conns,
  },
  {
    name: 'top',
    arguments: '[SERVICE...] [--interval TIME] [--count N]',
    help: text('the busiest servers, again and again', '持续显示最繁忙的服务器'),
    options: ['json', 'interval', 'count'],
    run: top,
  },
  {
    name: 'metrics',
    arguments: '[--serve unix:PATH|127.0.0.1:PORT]',
    help: text('for Prometheus', '供 Prometheus 采集'),
    options: ['serve'],
    run: exposition,
  },
  {
    name: 'ipvsadm',
    arguments: '-Ln [--stats|--rate]',
    help: text('the tables of ipvsadm', 'ipvsadm 样式的列表'),
    options: ['list', 'numeric', 'stats', 'rate', 'interval'],
    run: ipvsadm,
  },
];
