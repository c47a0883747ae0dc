/** What the acts of the story share: the stage, and how they wait for what should come. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Text, text } from '../../src/base/index.ts';
import { type Answer, type Lab, now, type Probe } from '../../src/lab/index.ts';
import { Broken, type Teller } from './story.ts';

export const root = join(import.meta.dirname, '../..');
export const VIP = '192.168.1.99';
export const ASK_MS = 10;
export const WEBS = ['web1', 'web2'] as const;

export type Scene = {
  readonly lab: Lab;
  readonly teller: Teller;
  /** The client that asks all the time, each time on a new connection. */
  readonly probe: Probe;
};

/** Waits until `so`; the story is broken where it does not come. */
export async function until(so: () => boolean | Promise<boolean>, limitMs: number, otherwise: Text): Promise<void> {
  for (const end = performance.now() + limitMs; !(await so()); await sleep(50))
    if (performance.now() > end) {
      const limit = limitMs / 1000;
      throw new Broken(text(`${otherwise.en} (waited ${limit} s)`, `${otherwise.zh}（已等待 ${limit} 秒）`));
    }
}

/** What the client saw of the last stretch, by time of asking. */
export const asked = (p: Probe, since: number): readonly Answer[] => p.answers.filter((a) => a.askedAt >= since);
const QUIET_US = 500_000;
/** Whether all asks of the last half second were answered by exactly these. */
export function served(p: Probe, by: readonly string[]): boolean {
  const last = asked(p, now() - QUIET_US);
  const names = new Set(last.map((a) => (a.error === undefined ? a.by : a.error)));
  return last.length > 10 && names.size === by.length && by.every((b) => names.has(b));
}
export const percent = (part: number, all: number): number => Math.round((100 * part) / Math.max(1, all));

export async function holds(lab: Lab, name: string): Promise<boolean> {
  const { stdout } = await lab.host(name).run(['ip', '-o', 'address', 'show', 'to', VIP]);
  return stdout.includes(VIP);
}
