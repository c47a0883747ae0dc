/**
 * Conversations over UDP, for as long as they are asked for. `server PORT`: answers every datagram with the host's name.
 * `client ADDRESS PORT N`: N sockets, each asks every 100 ms. A line on its standard input is answered as by bpf-talk-main.ts;
 * a conversation that another server takes up is broken.
 */
import { createSocket } from 'node:dgram';
import { hostname } from 'node:os';
import { createInterface } from 'node:readline';

const [role, first = '', second = '', third = ''] = process.argv.slice(2);
const INTERVAL_MS = 100;
const PATIENCE_MS = 3000;

if (role === 'server') {
  const server = createSocket('udp4');
  server.on('message', (_, from) => server.send(hostname(), from.port, from.address));
  server.bind(Number(first), () => process.stdout.write('ready\n'));
} else {
  const talks = Array.from({ length: Number(third) }, () => {
    const talk = { by: '', moved: false, heard: Date.now() };
    const socket = createSocket('udp4');
    socket.on('error', () => {}); // a host on the way that is just going
    socket.on('message', (d) => {
      const name = d.toString();
      if (talk.by !== '' && talk.by !== name) talk.moved = true;
      talk.by = name;
      talk.heard = Date.now();
    });
    socket.connect(Number(second), first, () => setInterval(() => socket.send('?'), INTERVAL_MS));
    return talk;
  });
  const report = setInterval(() => {
    if (!talks.every((t) => t.by !== '')) return;
    clearInterval(report);
    process.stdout.write('all\n');
  }, 20);
  createInterface(process.stdin).on('line', () => {
    const by: Record<string, number> = {};
    for (const t of talks) if (!t.moved) by[t.by] = (by[t.by] ?? 0) + 1;
    const broken = talks.filter((t) => t.moved || Date.now() - t.heard > PATIENCE_MS).length;
    process.stdout.write(`now ${JSON.stringify({ broken, by })}\n`);
  });
}
