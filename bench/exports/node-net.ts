/** The same export server with its sockets from node:net: what the addon's sockets are measured against. Arguments: file, socket. */
import { createServer } from 'node:net';
import { DEFAULT_OPTIONS, ExportServer, fileBackend, requirementsOf } from '../../src/exports/index.ts';
import type { ServerStream } from '../../src/host/index.ts';
import { DuplexBytes, linuxBlocks, linuxClock, loadAddon } from '../../src/host/linux/index.ts';

const [file = '', path = ''] = process.argv.slice(2);
const addon = loadAddon();
const needs = requirementsOf(DEFAULT_OPTIONS);
const blocks = linuxBlocks({ requests: needs.requests, slabBytes: needs.slabBytes + (1 << 20), engine: 'auto' });
if (!addon.ok || !blocks.ok) throw new Error('no addon');
const unused = { ok: false, error: { code: 'ENOSYS', doing: { en: '', zh: '' } } } as const;
const server = ExportServer.open(
  {
    blocks: blocks.value,
    clock: linuxClock(addon.value),
    log: { write: () => {} },
    streams: { listen: () => unused, connect: () => unused },
  },
  DEFAULT_OPTIONS,
);
const device = blocks.value.open(file, { readOnly: false, direct: 'auto' });
if (!server.ok || !device.ok) throw new Error('cannot open');
const backend = fileBackend(blocks.value, device.value);
server.value.add({ name: 'x', description: '', readOnly: false, backend, clients: undefined });
createServer((socket) => {
  const moved = new DuplexBytes(socket);
  const stream: ServerStream = {
    peer: 'node:net',
    receive: (into, from, to) => moved.receive(into, from, to),
    send: (a, from, to, b, from2, to2) => moved.send(a, from, to, b, from2, to2),
    watch: (ready) => moved.watch(ready),
    interest: (readable, writable) => moved.interest(readable, writable),
    startTls: (_, done) => done({ ok: false, error: { code: 'ENOSYS', doing: { en: '', zh: '' } } }),
    close: () => moved.close(),
  };
  server.value.accept(stream);
}).listen(path);
