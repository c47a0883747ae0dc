/** Decisions and their reasons in words: what, why, and what would have changed it. */
import {
  formatEndpoint,
  formatSeconds,
  type Microseconds,
  type Text,
  text,
  unreachable,
  us,
} from '../../base/index.ts';
import type { LogLevel } from '../../host/index.ts';
import type { CheckId } from '../check.ts';
import { checkName, serverPort } from './names.ts';
import type { Because, Decision, FailedCheck, PoolConfig } from './types.ts';

/** A reason does not change with the clock: times are lengths, counted from when it was decided. */
const seconds = (t: number): string => formatSeconds(us(Math.max(0, t)));

function nameOf(c: PoolConfig, id: CheckId): string {
  for (const p of c.servers) for (const k of p.checks) if (k.id === id) return checkName(k.checker);
  return id;
}
const failures = (c: PoolConfig, checks: readonly FailedCheck[]): Text => {
  const each = checks.map((k) => {
    const name = nameOf(c, k.id);
    return k.reason
      ? text(`${name}: ${k.reason.en}`, `${name}：${k.reason.zh}`)
      : text(`${name}: no result yet`, `${name}：尚无结果`);
  });
  return text(each.map((t) => t.en).join(', '), each.map((t) => t.zh).join('、'));
};

/** A clause that stands behind the state of a server: `down: http 192.168.1.11:80: connection refused`. */
export function describeBecause(c: PoolConfig, b: Because, now?: Microseconds): Text {
  switch (b.why) {
    case 'start':
      return text('taken for good until a check fails', '在检查失败之前视为正常');
    case 'alpha':
      return text('the first success of its checks is awaited (alpha)', '等待首次检查成功（alpha）');
    case 'failed':
      return failures(c, b.checks);
    case 'passed': {
      const name = nameOf(c, b.id);
      return b.reason
        ? text(`${name}: ${b.reason.en}`, `${name}：${b.reason.zh}`)
        : text(`${name} passed`, `${name} 通过`);
    }
    case 'damped': {
      const [en, zh] =
        now === undefined
          ? ['', '']
          : [` for another ${seconds(b.until - now)} s`, `，还需 ${seconds(b.until - now)} 秒`];
      return text(
        `its checks pass, but it failed ${b.flaps} times in short order and stays out${en}`,
        `检查已通过，但短时间内失败了 ${b.flaps} 次，暂不加入${zh}`,
      );
    }
    case 'damping-over':
      return text('it has been steady for long enough', '已稳定足够长的时间');
    case 'floor': {
      const why = failures(c, b.checks);
      return text(
        `kept although its checks fail (${why.en}): fewer than ${b.floor} servers would be left`,
        `检查失败（${why.zh}）仍予保留：否则剩余服务器将少于 ${b.floor} 台`,
      );
    }
    case 'refused':
      return b.refusal;
    case 'no-longer-refused':
      return text('it can be reached now', '现已可达');
    case 'configured':
      return text('it was added to the configuration, or its checks were taken away', '已加入配置，或其检查已被移除');
    case 'stop':
      return text('the director stops', '调度器停止');
    default:
      return unreachable(b);
  }
}

/** What would turn it round: for a person who asks why, and for one who has to act. */
function wayOut(c: PoolConfig, d: Extract<Decision, { do: 'server' }>): Text {
  switch (d.because.why) {
    case 'failed':
      return text('one success of each brings it back', '各检查成功一次即可恢复');
    case 'alpha':
      return text('one success of each check brings it in', '各检查成功一次即可加入');
    case 'refused':
      return text('correct the address, port or lvs_method', '请更正地址、端口或 lvs_method');
    case 'passed': {
      const timing = c.servers.find((p) => p.key === d.server)?.checks[0]?.checker;
      const retry = timing && 'timing' in timing ? timing.timing.retry : 0;
      return retry === 0
        ? text('one failure would take it out', '失败一次将被移出')
        : text(`${retry + 1} failures in a row would take it out`, `连续失败 ${retry + 1} 次将被移出`);
    }
    default:
      return text('', '');
  }
}
const withWay = (what: Text, way: Text): Text =>
  way.en === '' ? what : text(`${what.en}; ${way.en}`, `${what.zh}；${way.zh}`);

const sorryName = (c: PoolConfig): string => {
  const s = c.service.sorryServer;
  return s ? formatEndpoint(s.address, serverPort(c.service, s)) : '';
};

/** One line: `192.168.1.11:80 of tcp 192.168.1.99:80 is down: http 192.168.1.11:80: connection refused; ...`. */
export function describeDecision(c: PoolConfig, d: Decision, now?: Microseconds): Text {
  const of = (server: string): Text => text(`${server} of ${c.key}`, `${c.key} 的 ${server}`);
  switch (d.do) {
    case 'check': {
      const [name, who] = [nameOf(c, d.check.id), of(d.server)];
      const r = d.check.reason ?? text('', '');
      return d.check.verdict === 'up'
        ? text(`check ${name} for ${who.en} passes: ${r.en}`, `${who.zh} 的检查 ${name} 通过：${r.zh}`)
        : text(`check ${name} for ${who.en} failed: ${r.en}`, `${who.zh} 的检查 ${name} 失败：${r.zh}`);
    }
    case 'server': {
      const [who, why] = [of(d.server), describeBecause(c, d.because, now)];
      const what =
        d.to === 'up'
          ? text(
              `${who.en} is up with weight ${d.weight}: ${why.en}`,
              `${who.zh} 恢复服务，权重 ${d.weight}：${why.zh}`,
            )
          : text(`${who.en} is down: ${why.en}`, `${who.zh} 停止服务：${why.zh}`);
      return withWay(what, wayOut(c, d));
    }
    case 'held': {
      const [who, why] = [of(d.server), describeBecause(c, d.because, now)];
      return d.alive
        ? text(`${who.en} stays in: ${why.en}`, `${who.zh} 继续服务：${why.zh}`)
        : text(`${who.en} stays out: ${why.en}`, `${who.zh} 仍不服务：${why.zh}`);
    }
    case 'gone':
      return text(`${of(d.server).en} is no longer configured`, `${of(d.server).zh} 已从配置中删除`);
    case 'weight':
      return text(
        `weight of ${of(d.server).en}: ${d.from} to ${d.to}`,
        `${of(d.server).zh} 的权重由 ${d.from} 变为 ${d.to}`,
      );
    case 'drain': {
      const who = of(d.server);
      if (d.on)
        return text(
          `${who.en} is drained: no new connections, those that are established go on`,
          `${who.zh} 进入排空：不再接受新连接，已建立的连接继续`,
        );
      return d.expired
        ? text(`${who.en} is no longer drained: its time is over`, `${who.zh} 结束排空：时限已到`)
        : text(`${who.en} is no longer drained`, `${who.zh} 结束排空`);
    }
    case 'quorum':
      return describeQuorum(c, d);
    case 'suspend':
      return d.on
        ? text(
            `checks of ${c.key} pause: its address is not on this host (ha_suspend)`,
            `${c.key} 的检查暂停：其地址不在本机（ha_suspend）`,
          )
        : text(`checks of ${c.key} go on: its address is on this host`, `${c.key} 的检查继续：其地址在本机`);
    case 'sorry-refused': {
      const name = sorryName(c);
      return d.refusal
        ? text(
            `the sorry server ${name} of ${c.key} is never used: ${d.refusal.en}`,
            `${c.key} 的道歉服务器 ${name} 不会被使用：${d.refusal.zh}`,
          )
        : text(`the sorry server ${name} of ${c.key} can be reached now`, `${c.key} 的道歉服务器 ${name} 现已可达`);
    }
    default:
      return unreachable(d);
  }
}
function describeQuorum(c: PoolConfig, d: Extract<Decision, { do: 'quorum' }>): Text {
  const { quorum, hysteresis } = c.service;
  const [lost, gained] = [Math.max(1, quorum - hysteresis), quorum + hysteresis];
  if (d.to === 'up') {
    const sorry =
      d.sorry === 'out'
        ? text(`; the sorry server ${sorryName(c)} is taken out`, `；道歉服务器 ${sorryName(c)} 退出`)
        : text('', '');
    return text(
      `${c.key} has its quorum: living weights sum to ${d.sum}, at least ${gained}${sorry.en}; below ${lost} it is lost`,
      `${c.key} 达到法定数：存活权重之和 ${d.sum}，不低于 ${gained}${sorry.zh}；低于 ${lost} 则失去`,
    );
  }
  const sorry =
    d.sorry === 'in'
      ? text(`; the sorry server ${sorryName(c)} serves instead`, `；改由道歉服务器 ${sorryName(c)} 服务`)
      : text('', '');
  return text(
    `${c.key} lost its quorum: living weights sum to ${d.sum}, below ${lost}${sorry.en}; from ${gained} on it is back`,
    `${c.key} 失去法定数：存活权重之和 ${d.sum}，低于 ${lost}${sorry.zh}；达到 ${gained} 即恢复`,
  );
}

/** How loud a decision is. Of a check alone nobody needs to know who is told of the server. */
export function levelOf(d: Decision): LogLevel {
  switch (d.do) {
    case 'check':
      return 'info';
    case 'server':
      return d.to === 'up' || d.because.why === 'stop' ? 'notice' : 'warning';
    case 'quorum':
      return d.to === 'up' ? 'notice' : 'error';
    case 'held':
      return d.alive && d.because.why === 'floor' ? 'warning' : 'notice';
    case 'sorry-refused':
      return d.refusal ? 'error' : 'notice';
    case 'gone':
    case 'weight':
    case 'drain':
    case 'suspend':
      return 'notice';
    default:
      return unreachable(d);
  }
}
