/** fio's nbd engine as the load. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';

const run = promisify(execFile);

export type Load = {
  readonly rw: 'randwrite' | 'randread' | 'write' | 'read';
  readonly block: number;
  readonly depth: number;
  readonly seconds: number;
};
export type Figures = {
  readonly iops: number;
  readonly p50us: number;
  readonly p99us: number;
  readonly requests: number;
};

type Side = {
  readonly iops: number;
  readonly total_ios: number;
  readonly lat_ns: { readonly percentile?: Readonly<Record<string, number>> };
};

export async function fio(uri: string, load: Load): Promise<Figures> {
  const { stdout } = await run('fio', argumentsOf(uri, load));
  return figuresOf(stdout, load);
}
/** The load goes on for as long as `until` takes. */
export async function fioUntil(uri: string, load: Load, until: () => Promise<void>): Promise<Figures> {
  const child = execFile('fio', argumentsOf(uri, { ...load, seconds: LONG_SECONDS }));
  let said = '';
  child.stdout?.on('data', (chunk: string) => {
    said += chunk;
  });
  const ended = once(child, 'close');
  try {
    await until();
  } finally {
    // It tells its figures when it is interrupted.
    child.kill('SIGINT');
    await ended;
  }
  return figuresOf(said, load);
}
const LONG_SECONDS = 600;

function argumentsOf(uri: string, load: Load): string[] {
  return [
    '--name=load',
    '--ioengine=nbd',
    `--uri=${uri}`,
    `--rw=${load.rw}`,
    `--bs=${load.block}`,
    `--iodepth=${load.depth}`,
    '--time_based',
    `--runtime=${load.seconds}`,
    '--size=100%',
    '--randrepeat=1',
    // From the call to the answer: where fio is held up in between, the time until it looked again would be missing.
    '--lat_percentiles=1',
    '--output-format=json',
  ];
}
const EINTR = 4;
function figuresOf(stdout: string, load: Load): Figures {
  const document: unknown = JSON.parse(stdout.slice(stdout.indexOf('{')));
  const job = (document as { jobs: readonly [{ error: number; read: Side; write: Side }] }).jobs[0];
  if (job.error !== 0 && job.error !== EINTR) throw new Error(`fio ended with error ${job.error}`);
  const side = load.rw.endsWith('read') ? job.read : job.write;
  const at = (p: string): number => (side.lat_ns.percentile?.[p] ?? Number.NaN) / 1000;
  return { iops: side.iops, p50us: at('50.000000'), p99us: at('99.000000'), requests: side.total_ios };
}
