/**
 * Connections that live long. `server PORT`: answers every line with the host's name. `client ADDRESS PORT N`: opens N
 * connections, each says a line every 100 ms. A line on its standard input is answered by `{"broken":..,"by":{name: connections}}`.
 */
import { connect, createServer } from 'node:net';
import { hostname } from 'node:os';
import { createInterface } from 'node:readline';

const [role, first = '', second = '', third = ''] = process.argv.slice(2);
const INTERVAL_MS = 100;
/** A connection whose last question was not answered for so long is broken. */
const PATIENCE_MS = 3000;

if (role === 'server') {
  const server = createServer((s) => {
    s.on('error', () => {});
    s.on('data', () => s.write(`${hostname()}\n`));
  });
  server.listen(Number(first), '::', () => process.stdout.write('ready\n'));
} else {
  const talks = Array.from({ length: Number(third) }, () => {
    const talk = { by: '', broken: false, heard: Date.now() };
    const socket = connect({ host: first, port: Number(second), noDelay: true });
    const fail = (): void => {
      talk.broken = true;
    };
    socket.on('error', fail).on('close', fail);
    socket.on('data', (d) => {
      talk.by = d.toString().trim().split('\n')[0] ?? '';
      talk.heard = Date.now();
    });
    socket.on('connect', () => setInterval(() => socket.write('?\n'), INTERVAL_MS));
    return talk;
  });
  const report = setInterval(() => {
    if (!talks.every((t) => t.by !== '' || t.broken)) return;
    clearInterval(report);
    process.stdout.write('all\n');
  }, 20);
  createInterface(process.stdin).on('line', () => {
    const by: Record<string, number> = {};
    for (const t of talks) if (!t.broken) by[t.by] = (by[t.by] ?? 0) + 1;
    const broken = talks.filter((t) => t.broken || Date.now() - t.heard > PATIENCE_MS).length;
    process.stdout.write(`now ${JSON.stringify({ broken, by })}\n`);
  });
}
