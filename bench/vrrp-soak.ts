/**
 * `npm run bench -- vrrp-soak`: 100 virtual routers at 100 ms for ten minutes on a machine whose cores are all busy.
 * Both programs run at the same time, each in a lab of its own, so that they suffer the same. `--runs N` is N minutes.
 */
import { text } from '../src/base/index.ts';
import { soak } from '../test/interop/soak.ts';
import type { Bench } from './bench.ts';

const INSTANCES = 100;
const ADVERT_INT = 0.1;
const DEFAULT_MINUTES = 10;

export const bench: Bench = {
  title: text(
    'VRRP soak: 100 instances at 100 ms, every core busy with other work',
    'VRRP 长时间测试：100 个实例，间隔 100 毫秒，所有 CPU 核心被其他任务占满',
  ),
  peer: 'keepalived',
  async *run(o) {
    const minutes = o.runs ?? DEFAULT_MINUTES;
    const started = performance.now();
    const clock = setInterval(() => {
      const passed = Math.floor((performance.now() - started) / 60_000);
      o.progress(text(`${passed} of ${minutes} min`, `${minutes} 分钟中的第 ${passed} 分钟`));
    }, 60_000);
    try {
      const run = (software: 'holdfast' | 'keepalived') => soak(software, INSTANCES, ADVERT_INT, minutes * 60_000);
      const [ours, peer] = await Promise.all([run('holdfast'), run('keepalived')]);
      const row = (work: ReturnType<typeof text>, a: number, b: number, unit: string) => ({
        work,
        ours: a,
        peer: b,
        unit,
        runs: 1,
      });
      yield row(text(`false takeovers, ${minutes} min`, `误切换，${minutes} 分钟`), ours.takeovers, peer.takeovers, '');
      yield row(text('adverts that the backup sent', '备机发出的通告'), ours.adverts, peer.adverts, '');
      yield row(
        text('adverts of the master, of those due', '主机通告占应发数的比例'),
        (100 * ours.seen) / ours.due,
        (100 * peer.seen) / peer.due,
        '%',
      );
    } finally {
      clearInterval(clock);
    }
  },
};
