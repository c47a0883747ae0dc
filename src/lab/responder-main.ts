/**
 * Runs inside a host: says the host's name to everybody who asks at a port, over UDP (the question's first word, then
 * the name) and HTTP. Argument: the port. Prints `ready` when both listen, on all addresses of both families.
 */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:http';
import { hostname } from 'node:os';

const port = Number(process.argv[2]);
const name = hostname();
const socket = createSocket({ type: 'udp6', reuseAddr: true });
socket.on('message', (m, from) => {
  const question = m.toString('utf8').split(' ')[0] ?? '';
  socket.send(`${question} ${name}`, from.port, from.address);
});
const server = createServer((_, answer) => answer.end(`${name}\n`));
socket.bind(port, '::', () => server.listen(port, '::', () => process.stdout.write('ready\n')));
