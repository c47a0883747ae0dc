/** Writers that know what was acknowledged to them: blocks of 4 KiB, one after the other, each of one byte, all over the device. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import type { GuestProgram } from '../../src/lab/vm/guest-program.ts';
import type { Vm } from '../../src/lab/vm/index.ts';
import type { DrbdRig } from './drbd-rig.ts';

const BLOCK = 4096;
const BLOCKS = 5000;
/** Coprime with BLOCKS: each block once in 5,000 writes. */
const STRIDE = 1237;
const place = (n: number, blocks = BLOCKS): number => ((n * STRIDE) % blocks) * BLOCK;
const byte = (n: number): number => 1 + (n % 255);

/** Writes whose answer may be on its way to us yet: they lie where the oldest round was. */
const ON_THE_WAY = 100;
/** What a disk must hold where so many writes were acknowledged: the last of each place. */
function holds(disk: Uint8Array, acknowledged: number): void {
  assert.ok(acknowledged > 0, 'nothing was acknowledged');
  const lost: number[] = [];
  for (let n = Math.max(0, acknowledged - BLOCKS + ON_THE_WAY); n < acknowledged; n++) {
    const at = place(n);
    if (disk.subarray(at, at + BLOCK).some((b) => b !== byte(n))) lost.push(n);
  }
  assert.deepEqual(lost, [], `lost, of ${acknowledged} that were acknowledged`);
}

/** Through an NBD export of this machine. */
export class NbdWriter {
  acknowledged = 0;
  readonly #child: ChildProcess;
  #stopped = false;

  /** `blocks`: so many it changes at most, the first ones. */
  constructor(uri: string, blocks = BLOCKS) {
    const p = spawn('qemu-io', ['-f', 'raw', uri], { stdio: ['pipe', 'pipe', 'ignore'] });
    this.#child = p;
    p.stdin.on('error', () => {}); // its export has died
    const next = (): void => {
      const n = this.acknowledged;
      if (this.#stopped) p.stdin.end('quit\n');
      else p.stdin.write(`write -P ${byte(n)} ${place(n, blocks)} ${BLOCK}\n`);
    };
    let rest = '';
    p.stdout.setEncoding('utf8').on('data', (words: string) => {
      const lines = (rest + words).split('\n');
      rest = lines.pop() ?? '';
      for (const l of lines) {
        if (!l.includes(`wrote ${BLOCK}/${BLOCK} bytes at offset ${place(this.acknowledged, blocks)}`)) continue;
        this.acknowledged++;
        next();
      }
    });
    next();
  }
  /** The last write is answered, and no other is begun. */
  async stop(): Promise<void> {
    const gone = new Promise((done) => this.#child.once('exit', done));
    this.#stopped = true;
    await gone;
  }
  kill(): void {
    this.#child.kill('SIGKILL');
  }
  onDisk(disk: Uint8Array): void {
    holds(disk, this.acknowledged);
  }
}

/** In the guest, each write synchronous; it prints a line when it is acknowledged. */
const GUEST = `
const fs = require('node:fs');
const fd = fs.openSync('/dev/drbd0', fs.constants.O_RDWR | fs.constants.O_SYNC);
let stopped = false;
process.on('SIGTERM', () => { stopped = true; });
const next = (n) => {
  if (stopped) process.exit(0);
  fs.writeSync(fd, Buffer.alloc(${BLOCK}, 1 + (n % 255)), 0, ${BLOCK}, ((n * ${STRIDE}) % ${BLOCKS}) * ${BLOCK});
  fs.writeSync(1, n + '\\n');
  setImmediate(next, n + 1);
};
next(0);
`;
export class GuestWriter {
  readonly #program: GuestProgram;
  constructor(vm: Vm) {
    this.#program = vm.spawn([process.execPath, '-e', GUEST]);
  }
  get acknowledged(): number {
    return this.#program.text('stdout').split('\n').length - 1;
  }
  get errors(): string {
    return this.#program.text('stderr');
  }
  async stop(): Promise<void> {
    this.#program.kill('SIGTERM');
    await this.#program.exited;
  }
  onDisk(disk: Uint8Array): void {
    holds(disk, this.acknowledged);
  }
}

const AT_WORK = 40;
/** Until so many more writes are acknowledged than now. */
export function goesOn(rig: DrbdRig, w: NbdWriter | GuestWriter): Promise<void> {
  const from = w.acknowledged;
  return rig.until('writes go on', () => w.acknowledged >= from + AT_WORK);
}
