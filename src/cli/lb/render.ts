/** The director's status for people. Pure: the same document gives the same screen. */
import type { LbDocument, LbPeer, LbServer, LbService } from '../../api/index.ts';
import { type Language, type Text, text } from '../../base/index.ts';
import { age, table } from '../table.ts';
import { type Rates, sumRates } from './rates.ts';

const MODE = { nat: 'NAT', 'direct-routing': 'DR', tunnel: 'TUN' } as const;
const STATE: Readonly<Record<LbServer['state'], Text>> = {
  up: text('✓ up', '✓ 正常'),
  down: text('✗ down', '✗ 故障'),
  waiting: text('~ waiting', '~ 等待'),
  damped: text('~ damped', '~ 抑制'),
  kept: text('! kept', '! 保留'),
  refused: text('✗ refused', '✗ 拒绝'),
  standby: text('- standby', '- 备用'),
};
const DRAINED = text('~ drained', '~ 排空');
const stateOf = (x: LbServer): Text => (x.drained && x.state !== 'down' ? DRAINED : STATE[x.state]);
const BAD: ReadonlySet<LbServer['state']> = new Set(['down', 'kept', 'refused']);

/** What needs somebody. */
export function lbTroubles(d: LbDocument): readonly Text[] {
  const out: Text[] = [];
  for (const s of d.services) {
    if (s.plane === undefined)
      out.push(
        text(`${s.key} is carried by no plane: ${s.planeBecause.en}`, `${s.key} 没有可用的平面：${s.planeBecause.zh}`),
      );
    else if (s.refused) out.push(text(`${s.key}: ${s.refused.en}`, `${s.key}：${s.refused.zh}`));
    if (!s.quorum.up)
      out.push(
        text(
          `${s.key} has lost its quorum: weight ${s.quorum.sum} of ${s.quorum.quorum}`,
          `${s.key} 未达到法定权重：${s.quorum.sum}/${s.quorum.quorum}`,
        ),
      );
    const unasked = s.servers.flatMap((x) => x.checks.filter((k) => k.unasked));
    const why = unasked[0]?.reason;
    if (why)
      out.push(
        text(
          `${s.key}: this host cannot make ${unasked.length} of its checks: ${why.en}`,
          `${s.key}：本机无法进行其中 ${unasked.length} 项检查：${why.zh}`,
        ),
      );
    for (const x of s.servers)
      if (BAD.has(x.state))
        out.push(
          text(
            `${s.key}: ${x.key} is ${x.state}: ${x.because.en}`,
            `${s.key}：${x.key} ${STATE[x.state].zh}：${x.because.zh}`,
          ),
        );
  }
  if (d.peer && d.peer.state !== 'heard')
    out.push(
      text(
        `the other director at ${d.peer.address} is not heard: connections by NAT and those of drained servers would not survive a takeover`,
        `没有收到另一台调度器 ${d.peer.address} 的报文：切换后 NAT 的连接和已排空服务器的连接将中断`,
      ),
    );
  if (d.peer && d.peer.leftOut > 0)
    out.push(
      text(
        `${d.peer.leftOut} connections, by NAT or of drained servers, are too many to tell the other director of`,
        `${d.peer.leftOut} 个连接（NAT 的或已排空服务器的）因过多而未通知另一台调度器`,
      ),
    );
  if (d.peer?.late) out.push(d.peer.late);
  return out;
}

const HEADS = [
  text('SERVER', '服务器'),
  text('MODE', '模式'),
  text('STATE', '状态'),
  text('SINCE', '持续'),
  text('WEIGHT', '权重'),
  text('ACTIVE', '活动'),
  text('TOTAL', '总数'),
  text('BECAUSE', '原因'),
];

export function renderLb(d: LbDocument, language: Language): string {
  const bad = lbTroubles(d);
  const word = bad.length === 0 ? text('healthy', '正常') : text('degraded', '降级');
  const out = [`${text(`director: ${word.en}`, `调度器：${word.zh}`)[language]}\n`];
  for (const s of d.services)
    out.push('\n', head(s, language), table([HEADS.map((h) => h[language]), ...rows(s, d.at, language)]));
  out.push('\n');
  if (d.peer) out.push(`${peerLine(d.peer, d.at, language)[language]}\n`);
  if (bad.length === 0) out.push(`${text('Nothing needs you.', '无需处理。')[language]}\n`);
  else {
    out.push(`${text(`Needs you (${bad.length})`, `需要您处理（${bad.length}）`)[language]}\n`);
    out.push(...bad.map((t, i) => ` ${i + 1}. ${t[language]}\n`));
  }
  return out.join('');
}
const PEER: Readonly<Record<LbPeer['state'], Text>> = {
  heard: text('heard', '正常'),
  silent: text('silent', '无响应'),
  never: text('not heard yet', '尚未收到'),
};
function peerLine(p: LbPeer, at: number, language: Language): Text {
  const since = p.state === 'silent' && p.heardAt !== undefined ? ` ${age(at - p.heardAt, language)}` : '';
  const state = PEER[p.state];
  return text(
    `other director ${p.address}: ${state.en}${since}; connections that need telling (by NAT, drained): ${p.own} here, ${p.acknowledged} of them known there; ${p.held} of its own held`,
    `另一台调度器 ${p.address}：${state.zh}${since}；需告知对端的连接（NAT、已排空）：本机 ${p.own}，其中对端已知 ${p.acknowledged}；代对端保留 ${p.held}`,
  );
}
function head(s: LbService, language: Language): string {
  const plane = s.plane ?? text('no plane', '无平面')[language];
  const { quorum: q } = s;
  const words = text(
    `${s.key}  ${s.scheduler}  by ${plane} (${s.planeBecause.en}), weight ${q.sum}, quorum ${q.quorum}${s.suspended ? ', checks rest' : ''}`,
    `${s.key}  ${s.scheduler}  平面 ${plane}（${s.planeBecause.zh}），权重 ${q.sum}，法定 ${q.quorum}${s.suspended ? '，检查暂停' : ''}`,
  );
  return `${words[language]}\n`;
}
function rows(s: LbService, at: number, language: Language): string[][] {
  return s.servers.map((x) => {
    return [
      x.role === 'sorry' ? `${x.key} (${text('sorry', '致歉页')[language]})` : x.key,
      MODE[x.forwarding],
      stateOf(x)[language],
      age(at - x.since, language),
      x.planeWeight === x.weight ? `${x.weight}` : `${x.planeWeight ?? '-'} (${x.weight})`,
      String(x.counters?.active ?? '-'),
      String(x.counters?.connections ?? '-'),
      x.because[language],
    ];
  });
}

const CONN_HEADS = [
  text('SERVICE', '服务'),
  text('SERVER', '服务器'),
  text('ACTIVE', '活动'),
  text('INACTIVE', '非活动'),
  text('TOTAL', '总数'),
];
export const renderConns = (services: readonly LbService[], language: Language): string =>
  table([
    CONN_HEADS.map((h) => h[language]),
    ...services.flatMap((s) =>
      s.servers
        .filter((x) => x.counters !== undefined)
        .map((x) => [
          s.key,
          x.key,
          String(x.counters?.active),
          String(x.counters?.inactive),
          String(x.counters?.connections),
        ]),
    ),
  ]);

const TOP_HEADS = [
  text('SERVICE', '服务'),
  text('SERVER', '服务器'),
  text('STATE', '状态'),
  text('CONN/S', '连接/秒'),
  text('PKT/S', '包/秒'),
  text('BYTE/S', '字节/秒'),
  text('ACTIVE', '活动'),
];
/** Busiest first. */
export function renderTop(
  d: LbDocument,
  rates: ReadonlyMap<string, ReadonlyMap<string, Rates>>,
  language: Language,
): string {
  const lines = d.services
    .flatMap((s) => s.servers.map((x) => ({ s, x, r: rates.get(s.key)?.get(x.key) ?? sumRates([]) })))
    .sort((a, b) => b.r.bytesIn + b.r.bytesOut - (a.r.bytesIn + a.r.bytesOut) || b.r.connections - a.r.connections);
  return table([
    TOP_HEADS.map((h) => h[language]),
    ...lines.map(({ s, x, r }) => [
      s.key,
      x.key,
      stateOf(x)[language],
      String(r.connections),
      String(r.packetsIn + r.packetsOut),
      String(r.bytesIn + r.bytesOut),
      String(x.counters?.active ?? 0),
    ]),
  ]);
}
