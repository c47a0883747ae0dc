/** What this part tells people: every log event of the driver, in both languages. Repeated news are told once. */
import { type IpAddress, type Microseconds, type Text, text } from '../base/index.ts';
import type { HostError, Log, LogLevel } from '../host/index.ts';
import { describeBecause, describeDrop, describeOddity } from './describe.ts';
import type { Refusal } from './holdings.ts';
import type { Drop, Oddity } from './receive.ts';
import type { Effect, Rival, Warning } from './types.ts';

/** Whom a line is about. `logged` is emptied when its state changes: then everything is news again. */
type Subject = { readonly name: string; readonly logged: Set<string> };
type Fields = Record<string, string | number | boolean>;

export class Reporter {
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  transition(r: Subject, e: Effect & { do: 'transition' }): void {
    const why = describeBecause(e.because);
    const words = text(`${r.name}: ${e.from} -> ${e.to}: ${why.en}`, `${r.name}：${e.from} -> ${e.to}：${why.zh}`);
    const fields = { instance: r.name, from: e.from, to: e.to, why: e.because.why };
    this.#write(e.to === 'FAULT' ? 'error' : 'notice', 'vrrp.state', words, fields);
  }
  metRival(r: Subject, rival: Rival): void {
    const { address, priority } = rival;
    const words = text(
      `${r.name}: ${address} with priority ${priority} is master too; announced our addresses again`,
      `${r.name}：${address}（优先级 ${priority}）也是主节点；已重新宣告本机地址`,
    );
    this.#write('warning', 'vrrp.rival', words, { instance: r.name });
  }
  dropped(r: Subject, link: string, source: IpAddress, d: Drop): void {
    const why = describeDrop(d);
    const words = text(
      `${r.name}: advert from ${source} on ${link} ignored: ${why.en}`,
      `${r.name}：忽略来自 ${source}（${link}）的通告：${why.zh}`,
    );
    this.#once(r, `drop ${d.kind}`, 'warning', 'vrrp.dropped', words);
  }
  odd(r: Subject, source: IpAddress, o: Oddity, family: 4 | 6): void {
    const words = describeOddity(o, source, family);
    const whole = text(`${r.name}: ${words.en}`, `${r.name}：${words.zh}`);
    // Not once for each source: anybody can send from many.
    this.#once(r, `odd ${o.kind}`, 'warning', `vrrp.mismatch-${o.kind}`, whole);
  }
  cut(r: Subject, told: number, all: number): void {
    const words = text(
      `${r.name}: an advert on this interface has room for ${told} of ${all} addresses; the others are held but not told`,
      `${r.name}：此接口上的通告只能容纳 ${all} 个地址中的 ${told} 个；其余的保留但不通告`,
    );
    this.#write('error', 'vrrp.advert-full', words, { instance: r.name, told });
  }
  sendFailed(r: Subject, link: string, error: HostError): void {
    const words = text(
      `${r.name}: no advert could be sent on ${link}: ${error.code}`,
      `${r.name}：无法在 ${link} 上发送通告：${error.code}`,
    );
    this.#once(r, `send ${error.code}`, 'error', 'vrrp.send', words);
  }
  missingInterface(r: Subject, name: string): void {
    const words = text(
      `${r.name}: there is no interface ${name}; what belongs on it is left out`,
      `${r.name}：没有接口 ${name}；其上的对象被略过`,
    );
    this.#once(r, `missing ${name}`, 'error', 'vrrp.object-interface', words);
  }
  refusals(r: Subject, refusals: readonly Refusal[]): void {
    for (const x of refusals) {
      const words = text(
        `${r.name}: ${x.error.doing.en}: ${x.error.code}`,
        `${r.name}：${x.error.doing.zh}：${x.error.code}`,
      );
      this.#once(r, `refused ${x.error.doing.en}`, 'error', 'vrrp.object-refused', words);
    }
  }
  refused(code: string, error: HostError): void {
    this.#write('error', code, text(`${error.doing.en}: ${error.code}`, `${error.doing.zh}：${error.code}`));
  }
  addressConflict(r: Subject, address: string, mac: string): void {
    const words = text(
      `${r.name}: the machine with hardware address ${mac} also answers for ${address}`,
      `${r.name}：硬件地址为 ${mac} 的机器也在应答 ${address}`,
    );
    this.#once(r, `claimed ${address} ${mac}`, 'error', 'vrrp.address-conflict', words);
  }
  warning(r: Subject, w: Warning): void {
    switch (w.kind) {
      case 'own-address': {
        const words = text(
          `${r.name}: an advert came from our own address ${w.address}: a loop in the network, or another machine with it`,
          `${r.name}：收到源地址为本机 ${w.address} 的通告：网络中有环路，或另一台机器使用了相同地址`,
        );
        this.#once(r, w.kind, 'warning', 'vrrp.own-address', words);
        break;
      }
      case 'rogue-owner': {
        const words = text(
          `${r.name}: ${w.rival.address} also has priority 255${w.lowered ? '; we step back to 254 until it is gone' : ''}`,
          `${r.name}：${w.rival.address} 的优先级也是 255${w.lowered ? '；本机降为 254，直到它消失' : ''}`,
        );
        this.#once(r, `${w.kind} ${w.lowered}`, 'error', 'vrrp.rogue-owner', words);
        break;
      }
    }
  }
  stalled(late: Microseconds): void {
    const ms = Math.round(late / 1000);
    const words = text(
      `this process did not run for about ${ms} ms; the time is not counted against other routers`,
      `本进程约 ${ms} 毫秒未能运行；这段时间不计入对端的静默时间`,
    );
    this.#write('warning', 'vrrp.stalled', words, { ms });
  }
  unknownVrid(source: IpAddress, vrid: number): void {
    const words = text(
      `${source} advertises virtual router ${vrid}, which is not configured here`,
      `${source} 通告了本机未配置的虚拟路由器 ${vrid}`,
    );
    this.#write('notice', 'vrrp.unknown-vrid', words, { vrid });
  }
  residue(count: number): void {
    const words = text(
      `removed ${count} addresses, routes and rules that an earlier process left`,
      `删除了先前进程遗留的 ${count} 个地址、路由和策略规则`,
    );
    this.#write('notice', 'vrrp.residue', words, { count });
  }
  firewallFailed(why: string): void {
    const words = text(
      `nft could not set the rules of no_accept and use_vmac: ${why}; this host may answer on virtual addresses, or draw a virtual hardware address to itself`,
      `nft 无法设置 no_accept 与 use_vmac 的规则：${why}；本机可能会在虚拟地址上应答，或把虚拟硬件地址引到自身`,
    );
    this.#write('error', 'vrrp.firewall', words);
  }

  #write(level: LogLevel, code: string, words: Text, fields?: Fields): void {
    this.#log.write({ level, code, text: words, ...(fields ? { fields } : {}) });
  }
  #once(r: Subject, key: string, level: LogLevel, code: string, words: Text): void {
    if (r.logged.has(key)) return;
    r.logged.add(key);
    this.#write(level, code, words, { instance: r.name });
  }
}
