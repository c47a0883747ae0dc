/**
 * `npm run bench -- mirror-wire`: what DRBD's packets cost the processor. No peer does the same work by itself; for the
 * checksum it is the CRC-32 of Node's zlib (native, another polynomial), which shows what JavaScript pays.
 */
import { crc32 } from 'node:zlib';
import { crc32c, type Text, text } from '../src/base/index.ts';
import {
  type BlockId,
  DRBD_TEST_DIALECTS,
  type DrbdDialect,
  type DrbdPacket,
  DrbdStream,
  encodeHead,
  encodePacket,
  sector,
} from '../src/wire/index.ts';
import { type Bench, median, type Row } from './bench.ts';

const dialect = DRBD_TEST_DIALECTS['protocol 101'] as DrbdDialect;
const block = { volume: 0, sector: sector(123_456), id: 0x1234n as BlockId, seq: 1 };
const data = new Uint8Array(4096).fill(0x5a);
const write: DrbdPacket = { kind: 'P_DATA', ...block, flags: 0x102, digest: new Uint8Array(0), data };
const ack: DrbdPacket = { kind: 'P_WRITE_ACK', ...block, size: 4096 };
const TIMES = 20_000;

/** Takes chunks of `size` bytes of a stream of writes, as a socket would give them; returns ns for each packet. */
function parse(size: number, slot: Uint8Array | undefined): () => number {
  const one = encodePacket(write, dialect);
  const whole = Buffer.concat(Array.from({ length: 960 }, () => one));
  return () => {
    const stream = new DrbdStream(slot === undefined ? undefined : () => slot);
    stream.agree(dialect);
    let packets = 0;
    const started = performance.now();
    while (packets < TIMES)
      for (let at = 0; at < whole.length; at += size) {
        stream.feed(whole.subarray(at, Math.min(at + size, whole.length)));
        for (let n = stream.next(); n.ok && n.value !== undefined; n = stream.next()) packets++;
      }
    return ((performance.now() - started) / packets) * 1e6;
  };
}
const repeat = (work: () => unknown) => (): number => {
  const started = performance.now();
  for (let i = 0; i < TIMES; i++) work();
  return ((performance.now() - started) / TIMES) * 1e6;
};

const works: readonly { readonly work: Text; readonly ours: () => number; readonly peer?: () => number }[] = [
  { work: text('read a write of 4 KiB, whole', '读取 4 KiB 写请求，完整'), ours: parse(4136 * 15, undefined) },
  { work: text('the same, one in 15 cut', '同上，每 15 个有 1 个被截断'), ours: parse(61_000, new Uint8Array(4096)) },
  { work: text('the same, every one cut', '同上，每个都被截断'), ours: parse(4000, new Uint8Array(4096)) },
  { work: text('head of a write', '写请求头部'), ours: repeat(() => encodeHead(write, dialect)) },
  { work: text('acknowledgement', '确认'), ours: repeat(() => encodeHead(ack, dialect)) },
  {
    work: text('CRC-32C of 4 KiB', '4 KiB 的 CRC-32C'),
    ours: repeat(() => crc32c(data)),
    peer: repeat(() => crc32(data)),
  },
];

export const bench: Bench = {
  title: text('DRBD packets: processor time for each', 'DRBD 数据包：每个的处理器时间'),
  peer: 'zlib',
  async *run(o) {
    const runs = o.runs ?? 15;
    for (const w of works) {
      if (o.only !== undefined && !w.work.en.includes(o.only)) continue;
      o.progress(w.work);
      const samples: { ours: number[]; peer: number[] } = { ours: [], peer: [] };
      w.ours(); // compiled by then
      for (let i = 0; i < runs; i++) {
        samples.ours.push(w.ours());
        if (w.peer) samples.peer.push(w.peer());
      }
      const row: Row = {
        work: w.work,
        ours: median(samples.ours),
        peer: median(samples.peer),
        unit: 'ns',
        runs,
        samples,
      };
      yield row;
    }
  },
};
