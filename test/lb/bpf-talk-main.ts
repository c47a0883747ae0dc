/**
 * Connections that live long. `server PORT`: answers every line with the host's name and that line. `client ADDRESS PORT N`:
 * opens N connections, each says the time every 100 ms. Two commands on its standard input, answered by
 * `now {"broken":..,"by":{name: connections}}`: `now`, how they are; `settle MS`, how they are once each was answered to what
 * it said later than that, or has ended; broken is then what has ended, and what had no such answer when the time was over.
 */
import { connect, createServer } from 'node:net';
import { hostname } from 'node:os';
import { createInterface } from 'node:readline';
import { answerCommands, INTERVAL_MS, type Talk } from './talks.ts';

const [role, first = '', second = '', third = ''] = process.argv.slice(2);

if (role === 'server') {
  const server = createServer((s) => {
    s.on('error', () => {});
    createInterface(s).on('line', (l) => s.write(`${hostname()} ${l}\n`));
  });
  server.listen(Number(first), '::', () => process.stdout.write('ready\n'));
} else {
  const talks = Array.from({ length: Number(third) }, () => {
    const talk: Talk = { by: '', ended: false, heardAt: Date.now(), answeredTo: 0 };
    const socket = connect({ host: first, port: Number(second), noDelay: true });
    const end = (): void => {
      talk.ended = true;
    };
    socket.on('error', end).on('close', end);
    createInterface(socket)
      .on('line', (l) => {
        const [name = '', said] = l.split(' ');
        talk.by = name;
        talk.heardAt = Date.now();
        talk.answeredTo = Number(said);
      })
      .on('error', () => {});
    socket.on('connect', () => setInterval(() => socket.write(`${Date.now()}\n`), INTERVAL_MS));
    return talk;
  });
  answerCommands(talks);
}
