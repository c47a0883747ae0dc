/**
 * Going into the background. The daemon is a detached child that reports when it runs, or why it does not: the command
 * returns only then, with the right status, and until then the daemon's messages appear on the terminal that it was
 * started from.
 */
import { spawn } from 'node:child_process';
import { writeSync } from 'node:fs';
import type { Log, LogEvent } from '../../host/index.ts';
import { EXIT } from './exit-codes.ts';

/** Marks the child. Not an option, since nobody is to type it. */
const MARK = 'HOLDFAST_LAUNCHED';
const DIRECTORY = 'HOLDFAST_DIRECTORY';
type FromDaemon = { readonly kind: 'log'; readonly event: LogEvent } | { readonly kind: 'ready' };

const launched = process.env[MARK] !== undefined && process.send !== undefined;
const startedIn = process.env[DIRECTORY];
delete process.env[DIRECTORY];
delete process.env[MARK]; // not for scripts, which may start one of their own
/** Whether this process is the daemon of a command that waits for it. */
export const isLaunched = (): boolean => launched;
/** Where the command was typed: what relative paths begin at. */
export const startDirectory = (): string => (launched ? startedIn : undefined) ?? process.cwd();

/** The exit status for whoever typed the command. */
export function launch(show: (e: LogEvent) => string): Promise<number> {
  const [, program, ...args] = process.argv as [string, string, ...string[]];
  const child = spawn(process.execPath, [...process.execArgv, program, ...args], {
    detached: true,
    cwd: '/',
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    env: { ...process.env, [MARK]: '1', [DIRECTORY]: process.cwd() },
  });
  return new Promise((done) => {
    child.on('message', (m) => {
      const message = m as FromDaemon;
      if (message.kind === 'log') writeSync(2, `${show(message.event)}\n`);
      else {
        child.disconnect();
        child.unref();
        done(EXIT.done);
      }
    });
    child.on('error', (e) => {
      writeSync(2, `${e.message}\n`);
      done(EXIT.failed);
    });
    child.on('exit', (code) => done(code ?? EXIT.failed));
  });
}

/** In the daemon: its messages for the terminal, as long as somebody waits there. */
export const launcherLog: Log = {
  write(event) {
    if (process.connected && event.level !== 'debug' && event.level !== 'info')
      process.send?.({ kind: 'log', event } satisfies FromDaemon, undefined, {}, () => {});
  },
};
export function reportReady(): void {
  if (!process.connected) return;
  process.send?.({ kind: 'ready' } satisfies FromDaemon, undefined, {}, () => process.disconnect());
}
