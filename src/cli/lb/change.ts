/** `drain`, `undrain`, `weight`: what an operator asks of one server. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { LbDocument, LbRequest, LbServer, LbService } from '../../api/index.ts';
import { err, ok, type Result, type Text, text } from '../../base/index.ts';
import { EXIT } from '../../daemon/index.ts';
import type { LbArguments } from './arguments.ts';
import { findServer, findService } from './names.ts';
import { askDocument, type Failure, type Outcome, tell } from './talk.ts';

const wrong = (words: Text): Result<never, Failure> => err({ text: words, code: EXIT.wrong });
type Target = { readonly service: LbService; readonly server: LbServer };

function find(d: LbDocument, [service, server]: readonly string[]): Result<Target, Failure> {
  const s = findService(d, service as string);
  if (!s.ok) return wrong(s.error);
  const x = findServer(s.value, server as string);
  if (!x.ok) return wrong(x.error);
  const { key, role } = x.value;
  if (role === 'sorry')
    return wrong(
      text(
        `${key} is the sorry server: it serves when the quorum is lost, and is neither drained nor weighted`,
        `${key} 是道歉服务器：失去法定数时由其服务，不能排空，也没有权重可改`,
      ),
    );
  return ok({ service: s.value, server: x.value });
}
async function target(a: LbArguments, words: number, usage: string): Promise<Result<Target, Failure>> {
  if (a.names.length !== words) return wrong(text(`usage: holdfast lb ${usage}`, `用法：holdfast lb ${usage}`));
  const d = await askDocument(a);
  return d.ok ? find(d.value, a.names) : d;
}
/** Says what it did, or what the daemon had against it. */
async function order(a: LbArguments, request: LbRequest, done: Text): Promise<Outcome> {
  const answer = await tell(a, request);
  if (!answer.ok) return answer;
  process.stdout.write(a.json ? '{"done":true}\n' : `${done[a.language]}\n`);
  return ok(EXIT.done);
}

export async function drain(a: LbArguments): Promise<Outcome> {
  const t = await target(a, 2, 'drain SERVICE SERVER [--for TIME] [--wait] [--force]');
  if (!t.ok) return t;
  const { service, server } = t.value;
  const ordered = await order(
    a,
    {
      ask: 'lb-drain',
      service: service.key,
      server: server.key,
      on: true,
      ...(a.forMs === undefined ? {} : { forMs: a.forMs }),
      ...(a.force ? { force: true } : {}),
    },
    text(`${server.key} takes no new connections of ${service.key}`, `${server.key} 不再接受 ${service.key} 的新连接`),
  );
  return ordered.ok && a.wait ? waitEmpty(a, t.value) : ordered;
}

/** Undefined: not known, which is not none. A server that is in no plane has none. */
export function connectionsLeft({ service, server }: Target): number | undefined {
  if (server.counters) return server.counters.active + server.counters.inactive;
  return service.plane === undefined || server.planeWeight === undefined ? 0 : undefined;
}

/** Shows what is left whenever it changes, until nothing is. */
async function waitEmpty(a: LbArguments, t: Target): Promise<Outcome> {
  for (let shown: number | undefined = -1; ; ) {
    const d = await askDocument(a);
    if (!d.ok) return d;
    const now = find(d.value, [t.service.key, t.server.key]);
    if (!now.ok) return now;
    const { server } = now.value;
    if (server.drained === undefined)
      return err({
        text: text(
          `${server.key} is drained no more: ${server.because.en}`,
          `${server.key} 的排空已结束：${server.because.zh}`,
        ),
        code: EXIT.failed,
      });
    const left = connectionsLeft(now.value);
    if (left !== shown) {
      const words =
        left === undefined
          ? text('the plane cannot tell how many connections are left', '平面暂时无法统计剩余连接')
          : text(`${left} connections left`, `剩余 ${left} 个连接`);
      process.stdout.write(a.json ? `${JSON.stringify({ left: left ?? null })}\n` : `${words[a.language]}\n`);
      shown = left;
    }
    if (left === 0) return ok(EXIT.done);
    await sleep(a.intervalMs);
  }
}

export async function undrain(a: LbArguments): Promise<Outcome> {
  const t = await target(a, 2, 'undrain SERVICE SERVER');
  if (!t.ok) return t;
  const { service, server } = t.value;
  return order(
    a,
    { ask: 'lb-drain', service: service.key, server: server.key, on: false },
    text(
      `${server.key} takes new connections of ${service.key} again`,
      `${server.key} 重新接受 ${service.key} 的新连接`,
    ),
  );
}

const HEAVIEST = 65_535;
export async function weight(a: LbArguments): Promise<Outcome> {
  const t = await target(a, 3, 'weight SERVICE SERVER N|default [--force]');
  if (!t.ok) return t;
  const word = a.names[2] as string;
  const given = word === 'default' ? undefined : /^\d{1,5}$/.test(word) ? Number(word) : Number.NaN;
  if (given !== undefined && !(given <= HEAVIEST))
    return wrong(
      text(`${word} is no weight: 0..${HEAVIEST}, or default`, `${word} 不是权重：0..${HEAVIEST} 或 default`),
    );
  const { service, server } = t.value;
  return order(
    a,
    {
      ask: 'lb-weight',
      service: service.key,
      server: server.key,
      ...(given === undefined ? {} : { weight: given }),
      ...(a.force ? { force: true } : {}),
    },
    given === undefined
      ? text(
          `${server.key} has its configured weight in ${service.key} again`,
          `${server.key} 在 ${service.key} 中恢复配置的权重`,
        )
      : text(
          `${server.key} has weight ${given} in ${service.key}`,
          `${server.key} 在 ${service.key} 中的权重为 ${given}`,
        ),
  );
}
