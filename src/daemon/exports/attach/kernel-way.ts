/** A device of the kernel's nbd module: connections are made and negotiated here, and handed to the kernel. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type Text, text } from '../../../base/index.ts';
import {
  backendOf,
  blockSizeOf,
  firstSetup,
  type KernelNbd,
  Link,
  nextSetup,
  type Offer,
  oddSize,
} from '../../../exports/index.ts';
import type { ClientStream, Clock, HostError, StreamServer } from '../../../host/index.ts';
import type { Carrier, CarrierEvents } from './carrier.ts';
import type { AttachCommand } from './options.ts';

/**
 * What was asked over a connection that died is asked again this long after the next is there; the kernel's own time is
 * 30 s. A slow request is only noted by the kernel, since no time limit is set.
 */
const AGAIN_MS = '2000';

const said = (e: HostError): Text => text(`${e.doing.en}: ${e.code}`, `${e.doing.zh}：${e.code}`);

/** The device that another process left attached under this name. Linux 5.14. */
function leftBehind(name: string): number | undefined {
  for (const d of readdirSync('/sys/block')) {
    if (!/^nbd\d+$/.test(d)) continue;
    try {
      if (readFileSync(`/sys/block/${d}/backend`, 'utf8').trim() === backendOf(name)) return Number(d.slice(3));
    } catch {
      // not connected, or not by a name
    }
  }
  return undefined;
}

export function kernelWay(
  c: AttachCommand,
  nbd: KernelNbd,
  host: { readonly streams: StreamServer; readonly clock: Clock },
  events: CarrierEvents,
): Carrier {
  let index = leftBehind(c.name);
  let announced = false;
  const announce = (n: number): void => {
    try {
      writeFileSync(`/sys/block/nbd${n}/queue/io_timeout`, AGAIN_MS);
    } catch {
      // Linux before 5.0: then it takes the kernel's 30 s
    }
    announced = true;
    events.device(`/dev/nbd${n}`);
  };
  const first = (stream: ClientStream, offer: Offer): Text | undefined => {
    const block = blockSizeOf(offer);
    if (block === undefined) {
      events.failed(oddSize(offer));
      return oddSize(offer);
    }
    const made = stream.lend((fd) => nbd.connect(firstSetup(c.name, offer, block, fd)));
    if (!made.ok) {
      events.failed(said(made.error));
      return said(made.error);
    }
    index = made.value;
    announce(index);
    return undefined;
  };
  const again = (stream: ClientStream, n: number): Text | undefined => {
    const r = stream.lend((fd) => nbd.reconnect(nextSetup(c.name, n, fd)));
    if (!announced && (r.ok || r.error.code === 'ENOSPC')) announce(n);
    if (r.ok) {
      events.serverThere();
      return undefined;
    }
    // ENOSPC: what another process gave it still lives. Tried again, so that its death is noticed.
    if (r.error.code === 'EINVAL' || r.error.code === 'ENODEV') events.failed(said(r.error));
    return said(r.error);
  };
  const link = new Link(host, c.address, c.exportName, {
    up(stream, offer) {
      const refused = index === undefined ? first(stream, offer) : again(stream, index);
      if (refused) return refused;
      // Only its end is of interest here: the kernel reads and writes.
      stream.watchEnd();
      return () => link.lost(text('the server closed the connection', '服务器关闭了连接'));
    },
    down: (why) => events.serverAway(why),
  });
  return {
    leavable: true,
    start: () => link.start(),
    release(done) {
      link.stop();
      if (index !== undefined) nbd.disconnect(index);
      done();
    },
  };
}
