/**
 * Stands between the two nodes and asks the first one for a sign of life far more often than the second would: a P_PING put
 * between the packets of the meta socket every few milliseconds, whose answer it keeps to itself. Arguments: port; where it
 * listens for and where it reaches the node that is asked; the same of the other; a file for the waits, in milliseconds.
 */
import { writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { DRBD_COMMAND, decodeHeader, HEADER_LENGTH, writeHeader } from '../../src/wire/index.ts';

const EVERY_MS = 10;
const HEAD = HEADER_LENGTH.h100;
const [port, askedHere = '', asked = '', otherHere = '', other = '', file = ''] = process.argv.slice(2);
const waits: number[] = [];
const ping = new Uint8Array(HEAD);
writeHeader(new DataView(ping.buffer), 0, 'h100', DRBD_COMMAND.P_PING, 0, 0);

/** One direction, packet by packet: `whole` is given each with its header, in whichever form it travels. */
function packets(whole: (command: number, bytes: Buffer) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (;;) {
      const v = new DataView(rest.buffer, rest.byteOffset, rest.length);
      const h = rest.length < 8 ? undefined : [101, 95].map((version) => decodeHeader(v, 0, version)).find((r) => r.ok);
      if (!h?.ok) return;
      const length = HEADER_LENGTH[h.value.form] + h.value.length;
      if (rest.length < length) return;
      whole(h.value.command, rest.subarray(0, length));
      rest = rest.subarray(length);
    }
  };
}

/** The meta socket, once both ends are there. */
function meta(toAsked: Socket, toOther: Socket): void {
  /** When each ping that is on its way was sent; undefined for the other node's own. */
  const sent: (number | undefined)[] = [];
  let talks = false;
  const timer = setInterval(() => {
    if (!talks || sent.length > 0) return;
    sent.push(performance.now());
    toAsked.write(ping);
  }, EVERY_MS);
  toAsked.on('close', () => clearInterval(timer));
  toOther.on(
    'data',
    packets((command, bytes) => {
      talks ||= bytes.length >= HEAD && command !== DRBD_COMMAND.P_INITIAL_META;
      if (command === DRBD_COMMAND.P_PING) sent.push(undefined);
      toAsked.write(bytes);
    }),
  );
  toAsked.on(
    'data',
    packets((command, bytes) => {
      const at = command === DRBD_COMMAND.P_PING_ACK ? sent.shift() : undefined;
      if (at === undefined) toOther.write(bytes);
      else waits.push(performance.now() - at);
    }),
  );
}

function pour(from: Socket, to: Socket): void {
  from.on('data', (b: Buffer) => {
    if (to.write(b)) return;
    from.pause();
    to.once('drain', () => from.resume());
  });
}

function relay(here: string, there: string, toAsked: boolean): void {
  createServer((near) => {
    near.setNoDelay(true);
    near.pause();
    const far = connect({ host: there, port: Number(port) });
    far.setNoDelay(true);
    for (const [a, b] of [
      [near, far],
      [far, near],
    ] as const) {
      a.on('error', () => {});
      a.on('close', () => b.destroy());
    }
    far.on('connect', () => {
      near.once('data', (first: Buffer) => {
        near.pause();
        const h = decodeHeader(new DataView(first.buffer, first.byteOffset, first.length), 0, 0);
        if (h.ok && h.value.command === DRBD_COMMAND.P_INITIAL_META) meta(toAsked ? far : near, toAsked ? near : far);
        else {
          pour(near, far);
          pour(far, near);
        }
        near.emit('data', first);
        near.resume();
      });
      near.resume();
    });
  }).listen(Number(port), here);
}
// Who wants the asked node comes to `askedHere`; who wants the other one, to `otherHere`.
relay(askedHere, asked, true);
relay(otherHere, other, false);
process.on('SIGUSR2', () => {
  writeFileSync(file, JSON.stringify(waits));
  waits.length = 0;
});
