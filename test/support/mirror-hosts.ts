/**
 * Two hosts of a mirror on one machine: each has an address of the loopback device, its own sockets and its own disk. Only in a
 * network namespace of its own.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MirrorAnswer, MirrorAsk, MirrorDocument, MirrorRequest, MirrorStatus } from '../../src/api/index.ts';
import { start } from '../../src/lab/program.ts';

const holdfast = resolve(import.meta.dirname, '../../bin/holdfast');
export type HostName = 'ha1' | 'ha2';
const ADDRESS: Readonly<Record<HostName, string>> = { ha1: '127.0.0.1', ha2: '127.0.0.2' };
/** A guest is slow, and the machine may be busy. Milliseconds. */
const PATIENCE = 60_000;

/** A program that must succeed; what it printed. It may wait for a device, so this process never waits for it. */
export async function sh(script: string): Promise<string> {
  const p = start([], ['sh', '-e', '-c', script]);
  const { code } = await p.exited;
  assert.equal(code, 0, `${script}: ${p.text('stdout')}${p.text('stderr')}`);
  return p.text('stdout');
}

export class MirrorHosts {
  readonly folder = mkdtempSync('/run/holdfast-hosts-');
  readonly #processes = new Map<HostName, ChildProcess>();
  readonly #said = new Map<HostName, string>();

  /** `disks`: a path of its own for a host's; else a file of that many bytes is made. */
  constructor(size: number, disks: Partial<Readonly<Record<HostName, string>>> = {}, sections = '') {
    const on = (h: HostName): string => {
      const disk = disks[h] ?? this.disk(h);
      if (disks[h] === undefined) {
        writeFileSync(disk, '');
        truncateSync(disk, size);
      }
      return `  on ${h} { device /dev/drbd0; disk ${disk}; meta-disk internal; address ${ADDRESS[h]}:7788; }\n`;
    };
    writeFileSync(
      this.conf,
      `resource data {
  net { timeout 60; connect-int 3; ping-int 4; ping-timeout 50; }
  disk { c-plan-ahead 0; c-min-rate 0; resync-rate 200M; ${sections} }
${on('ha1')}${on('ha2')}}
`,
    );
  }
  get conf(): string {
    return join(this.folder, 'drbd.conf');
  }
  disk(h: HostName): string {
    return join(this.folder, `${h}.img`);
  }
  nbd(h: HostName): string {
    return `nbd+unix:///data?socket=${join(this.folder, `${h}.nbd`)}`;
  }
  create(...hosts: readonly HostName[]): Promise<unknown> {
    return Promise.all(
      hosts.map((h) => sh(`${holdfast} mirror create data -f ${this.conf} --host ${h} --accept-data-loss=data`)),
    );
  }
  async start(h: HostName): Promise<void> {
    const words = ['data', '-f', this.conf, '--host', h, '--socket', join(this.folder, h)];
    const argv = ['mirror', 'run', ...words, '--nbd', join(this.folder, `${h}.nbd`)];
    const p = spawn(holdfast, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#processes.set(h, p);
    for (const from of [p.stdout, p.stderr])
      from.setEncoding('utf8').on('data', (words: string) => this.#said.set(h, (this.#said.get(h) ?? '') + words));
    await this.until(`${h} is up`, () =>
      this.status(h).then(
        () => true,
        () => false,
      ),
    );
  }
  said(h: HostName): string {
    return this.#said.get(h) ?? '';
  }
  process(h: HostName): ChildProcess {
    return this.#processes.get(h) ?? assert.fail(`${h} was not started`);
  }
  #ask(h: HostName, q: MirrorAsk): Promise<unknown> {
    return new Promise((done, failed) => {
      let got = '';
      const s = connect(join(this.folder, h));
      s.setEncoding('utf8').on('data', (words: string) => {
        got += words;
      });
      s.on('error', failed).on('end', () => (got === '' ? failed(new Error('no answer')) : done(JSON.parse(got))));
      s.write(`${JSON.stringify(q)}\n`);
    });
  }
  ask(h: HostName, request: MirrorRequest): Promise<MirrorAnswer> {
    return this.#ask(h, { ask: 'mirror', name: 'data', request }) as Promise<MirrorAnswer>;
  }
  /** It must be agreed to. */
  async order(h: HostName, request: MirrorRequest): Promise<void> {
    const a = await this.ask(h, request);
    assert.ok(a.ok, `${h} ${request.verb}: ${a.text.en}\n${this.said(h)}`);
  }
  async status(h: HostName): Promise<MirrorStatus> {
    const { mirrors } = (await this.#ask(h, { ask: 'mirrors' })) as MirrorDocument;
    return mirrors[0] ?? assert.fail('no mirror');
  }
  /** Rejects with what both say of themselves. */
  async until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
    const end = Date.now() + PATIENCE;
    while (!(await holds())) {
      if (Date.now() > end) {
        const all = await Promise.all(
          (['ha1', 'ha2'] as const).map((h) => this.status(h).then((s) => JSON.stringify(s.volumes), String)),
        );
        assert.fail(`never: ${what}\n${all.join('\n')}\n${this.said('ha1')}\n${this.said('ha2')}`);
      }
      await sleep(100);
    }
  }
  /** As that host sees it: connected, both good, nothing left to copy. */
  settled(h: HostName): Promise<void> {
    return this.until(`${h} is in sync`, async () => {
      const v = (await this.status(h).catch(() => undefined))?.volumes[0];
      return v?.connection === 'Connected' && v.disk === 'UpToDate' && v.peerDisk === 'UpToDate' && v.outOfSync === 0;
    });
  }
  /** Both are down, and their processes have ended. */
  async down(): Promise<void> {
    for (const [h, p] of this.#processes) {
      if (p.exitCode !== null || p.signalCode !== null) continue;
      const gone = new Promise((done) => p.once('exit', done));
      await this.order(h, { verb: 'down' });
      p.kill('SIGTERM');
      await gone;
    }
    this.#processes.clear();
  }
  async kill(h: HostName): Promise<void> {
    const p = this.process(h);
    const gone = new Promise((done) => p.once('exit', done));
    p.kill('SIGKILL');
    await gone;
  }
  /** Whatever is left. */
  end(): void {
    for (const p of this.#processes.values()) p.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
  data(h: HostName, length: number): Buffer {
    return readFileSync(this.disk(h)).subarray(0, length);
  }
}
