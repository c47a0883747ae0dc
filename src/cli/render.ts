/** The status of a running daemon for people. Pure: the same document gives the same screen. */
import type { InstanceStatus, StatusDocument } from '../api/index.ts';
import { type Language, type Text, text } from '../base/index.ts';
import { age, table } from './table.ts';

/** `✓` in its place, `~` still finding it, `✗` in fault. A second channel beside the word, never alone. */
const symbol = (i: InstanceStatus): string =>
  i.state === 'MASTER' ? (i.held ? '✓' : '✗') : i.state === 'BACKUP' ? '✓' : i.state === 'FAULT' ? '✗' : '~';

/** What needs somebody, worst first. */
export function troubles(d: StatusDocument): readonly Text[] {
  const out: Text[] = [];
  if (d.beatPid === undefined && (d.instances.length > 0 || d.transitions.length > 0))
    out.push(text('the VRRP process is down', 'VRRP 进程未在运行'));
  if (d.directorPid === undefined && d.virtualServers.length > 0)
    out.push(text('the director process is not running', '调度进程未在运行'));
  for (const i of d.instances) {
    if (i.state === 'FAULT')
      out.push(text(`${i.name} is in FAULT: ${i.because.en}`, `${i.name} 处于 FAULT：${i.because.zh}`));
    if (i.state === 'MASTER' && !i.held)
      out.push(text(`${i.name} is MASTER without all of its addresses`, `${i.name} 为 MASTER，但地址不齐全`));
  }
  if (d.configuration.refusedAt !== undefined)
    out.push(
      text(
        `the last reload was refused; the configuration before it is in force (holdfast keepalived -t -f ${d.configuration.file} says why)`,
        `最近一次重新加载被拒绝；之前的配置继续有效（holdfast keepalived -t -f ${d.configuration.file} 可查看原因）`,
      ),
    );
  return out;
}

const HEADS: readonly Text[] = [
  text('INSTANCE', '实例'),
  text('STATE', '状态'),
  text('SINCE', '持续'),
  text('PRIO', '优先级'),
  text('LINK', '接口'),
  text('MASTER HEARD', '收到主节点'),
  text('ADDRESSES', '地址'),
];

export function renderStatus(d: StatusDocument, now: number, language: Language): string {
  const bad = troubles(d);
  const word = bad.length === 0 ? text('healthy', '正常') : text('degraded', '降级');
  const { generation, file } = d.configuration;
  const up = age(now - d.startedAt, language);
  const head = text(
    `keepalived: ${word.en}   ${file} (generation ${generation}), up ${up}`,
    `keepalived：${word.zh}   ${file}（第 ${generation} 代），已运行 ${up}`,
  );
  const out = [`${head[language]}\n`];
  if (d.instances.length > 0) {
    const rows = d.instances.map((i) => [
      i.name,
      `${symbol(i)} ${i.state}`,
      age(now - i.since, language),
      i.priority === i.configuredPriority ? `${i.priority}` : `${i.priority} (${i.configuredPriority})`,
      i.interface ?? '-',
      i.master ? `${i.master.address} ${i.master.heardMs} ms` : '-',
      i.addresses.join(', '),
    ]);
    out.push('\n', table([HEADS.map((h) => h[language]), ...rows]));
  }
  if (d.trackers.length > 0) {
    const heads = [text('TRACKER', '跟踪项')[language], '', text('STATE', '状态')[language]];
    out.push('\n', table([heads, ...d.trackers.map((t) => [t.name, t.kind, t.state])]));
  }
  if (d.virtualServers.length > 0) {
    const words = text(
      `virtual servers: ${d.virtualServers.join(', ')} (holdfast lb status)`,
      `虚拟服务器：${d.virtualServers.join('、')}（holdfast lb status）`,
    );
    out.push(`\n ${words[language]}\n`);
  }
  if (d.worstStallMs > 0) {
    const words = text(`longest stall ${d.worstStallMs} ms`, `最长停顿 ${d.worstStallMs} 毫秒`);
    out.push(`\n ${words[language]}\n`);
  }
  out.push('\n');
  if (bad.length === 0) out.push(`${text('Nothing needs you.', '无需处理。')[language]}\n`);
  else {
    out.push(`${text(`Needs you (${bad.length})`, `需要您处理（${bad.length}）`)[language]}\n`);
    bad.forEach((t, i) => {
      out.push(` ${i + 1}. ${t[language]}\n`);
    });
  }
  return out.join('');
}

const SHOWN = 10;
const time = (at: number): string => new Date(at).toISOString().replace('T', ' ').replace('Z', ' UTC');

export function renderExplain(d: StatusDocument, i: InstanceStatus, language: Language): string {
  const say = (en: string, zh: string): string => ` ${text(en, zh)[language]}\n`;
  const out = [
    `${text(`${i.name} is ${i.state} since ${time(i.since)}: ${i.because.en}`, `${i.name} 自 ${time(i.since)} 起为 ${i.state}：${i.because.zh}`)[language]}\n\n`,
  ];
  out.push(
    say(
      `priority ${i.priority}${i.priority === i.configuredPriority ? '' : `, configured ${i.configuredPriority}; trackers shifted it`}`,
      `优先级 ${i.priority}${i.priority === i.configuredPriority ? '' : `，配置为 ${i.configuredPriority}；跟踪项改变了它`}`,
    ),
  );
  out.push(
    i.held
      ? say(`its addresses are here: ${i.addresses.join(', ')}`, `地址在本机：${i.addresses.join('、')}`)
      : say(`its addresses are not here: ${i.addresses.join(', ')}`, `地址不在本机：${i.addresses.join('、')}`),
  );
  if (i.master) {
    const { address, priority, heardMs } = i.master;
    const left = i.marginMs ?? 0;
    out.push(
      say(
        `master ${address} with priority ${priority} was heard ${heardMs} ms ago; after ${left} ms more of silence this host takes over`,
        `主节点 ${address}（优先级 ${priority}）在 ${heardMs} 毫秒前有通告；再静默 ${left} 毫秒，本机将接管`,
      ),
    );
  }
  const steps = d.transitions.filter((t) => t.name === i.name).slice(-SHOWN);
  if (steps.length > 0) {
    out.push('\n');
    for (const t of steps) out.push(` ${time(t.at)}  ${t.from} -> ${t.to}: ${t.because[language]}\n`);
  }
  return out.join('');
}
