import { err, ok, type Result, type Text } from '../../../base/index.ts';
import { decodeMessages, type NetlinkMessage } from '../../../wire/index.ts';
import type { Cancel, HostError, Netlink, NetlinkChannel, NetlinkEvents, NetlinkFamily } from '../../index.ts';
import { type Addon, errnoName } from '../addon.ts';
import { Requests, withMessage } from './requests.ts';
import { NETLINK, NETLINK_OPTION, openNetlinkSocket } from './socket.ts';

/** Refusals of a large batch, and the parts of a dump, wait here until they are read. */
const RECEIVE_BUFFER = 8 << 20;
/** A whole nfnetlink transaction is one request: ten thousand services with their servers are some megabytes. */
const SEND_BUFFER = 64 << 20;

function openChannel(addon: Addon, family: NetlinkFamily): Result<NetlinkChannel, HostError> {
  const socket = openNetlinkSocket(addon, {
    protocol: NETLINK[family],
    sendBuffer: SEND_BUFFER,
    groups: 0,
    options: [NETLINK_OPTION.shortAcks, NETLINK_OPTION.extendedAcks],
    receiveBuffer: RECEIVE_BUFFER,
    slots: 16,
    slotBytes: 32 << 10, // what a dump is cut into at most
  });
  if (!socket.ok) return socket;
  const requests = new Requests(socket.value);
  return ok({
    transact: (r) => requests.transact(r),
    batch: (r, subsystem) => requests.batch(r, subsystem),
    dump: (r, doing, begin, take) => requests.dump(r, doing, begin, take),
    pieces: (r, doing, take) => requests.pieces(r, doing, take),
    ask: (r, doing: Text) => {
      const found: NetlinkMessage[] = [];
      const end = requests.ask(r, (m) => found.push({ ...m, payload: m.payload.slice() }));
      if (end.errno === 0) return ok(found);
      return err({ code: errnoName(-end.errno), doing: withMessage(doing, end.message) });
    },
    close: () => requests.close(),
  });
}

/** Some 16,000 notifications that nobody has read yet. */
const EVENTS_BUFFER = 16 << 20;

function listen(
  addon: Addon,
  family: NetlinkFamily,
  groups: number,
  on: Parameters<NetlinkEvents['listen']>[2],
): Result<Cancel, HostError> {
  const socket = openNetlinkSocket(addon, {
    protocol: NETLINK[family],
    groups,
    options: [],
    receiveBuffer: EVENTS_BUFFER,
    slots: 64,
    slotBytes: 8 << 10,
  });
  if (!socket.ok) return socket;
  socket.value.watch((n) => {
    if (n < 0) on.lost();
    for (let i = 0; i < n; i++) {
      const d = socket.value.datagram(i);
      const messages = decodeMessages(d.bytes);
      if (d.cut || !messages.ok) on.lost();
      else for (const m of messages.value) on.take(m);
    }
  });
  return ok(() => socket.value.close());
}
export const linuxNetlink = (addon: Addon): Netlink & NetlinkEvents => ({
  open: (family) => openChannel(addon, family),
  listen: (family, groups, on) => listen(addon, family, groups, on),
});
