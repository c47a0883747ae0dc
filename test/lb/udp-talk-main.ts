/**
 * Conversations over UDP, for as long as they are asked for. `server PORT`: answers every datagram with the host's name and
 * what it said. `client ADDRESS PORT N`: N sockets, each says the time every 100 ms, and takes the commands of
 * bpf-talk-main.ts; a conversation that another server takes up has ended.
 */
import { createSocket } from 'node:dgram';
import { hostname } from 'node:os';
import { answerCommands, INTERVAL_MS, type Talk } from './talks.ts';

const [role, first = '', second = '', third = ''] = process.argv.slice(2);

if (role === 'server') {
  const server = createSocket('udp4');
  server.on('message', (m, from) => server.send(`${hostname()} ${m}`, from.port, from.address));
  server.bind(Number(first), () => process.stdout.write('ready\n'));
} else {
  const talks = Array.from({ length: Number(third) }, () => {
    const talk: Talk = { by: '', ended: false, heardAt: Date.now(), answeredTo: 0 };
    const socket = createSocket('udp4');
    socket.on('error', () => {}); // a host on the way that is just going
    socket.on('message', (d) => {
      const [name = '', said] = d.toString().split(' ');
      if (talk.by !== '' && talk.by !== name) talk.ended = true;
      talk.by = name;
      talk.heardAt = Date.now();
      talk.answeredTo = Number(said);
    });
    socket.connect(Number(second), first, () => setInterval(() => socket.send(`${Date.now()}`), INTERVAL_MS));
    return talk;
  });
  answerCommands(talks);
}
