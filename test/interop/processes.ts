/** What a tree of processes costs, from /proc: of the daemon and everything it started. */
import { readFileSync } from 'node:fs';

const text = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // it ended while the tree was walked
  }
};

/** The process and all its descendants, parents first. */
export function treeOf(pid: number): readonly number[] {
  const children = text(`/proc/${pid}/task/${pid}/children`).trim().split(' ').filter(Boolean).map(Number);
  return [pid, ...children.flatMap(treeOf)];
}

export type DaemonProcesses = {
  readonly parent: number;
  /** The process that speaks VRRP. */
  readonly worker: number;
};
/** Of a daemon that runs: ours names its VRRP process `beat`; keepalived -P has one child. */
export function daemonProcesses(parent: number): DaemonProcesses {
  const below = treeOf(parent).slice(1);
  const worker = below.find((pid) => text(`/proc/${pid}/cmdline`).includes('beat')) ?? below[0];
  if (worker === undefined) throw new Error(`process ${parent} has no child`);
  return { parent, worker };
}

/** User and system time used so far, in seconds. The kernel counts in hundredths (USER_HZ). */
export function cpuSeconds(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    // Behind the name in parentheses, which may hold anything: utime and stime are the 12th and 13th field.
    const fields = text(`/proc/${pid}/stat`)
      .replace(/^.*\) /s, '')
      .split(' ');
    return sum + (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / 100;
  }, 0);
}

export type Memory = {
  /** Resident, summed over the processes: what they share is counted for each. MiB. */
  readonly rss: number;
  /** Resident, what is shared divided among those that share it. MiB. */
  readonly pss: number;
};
export function memoryOf(pids: readonly number[]): Memory {
  let rss = 0;
  let pss = 0;
  for (const pid of pids) {
    const rollup = text(`/proc/${pid}/smaps_rollup`);
    rss += Number(/^Rss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0);
    pss += Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0);
  }
  return { rss: rss / 1024, pss: pss / 1024 };
}
