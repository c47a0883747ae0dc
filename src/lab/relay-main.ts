/**
 * Runs in the fabric: carries frames between a cable's end and the bridge's side, later than they came. Arguments: the
 * two interfaces, and the slowness of both directions as JSON; a further line of JSON on standard input replaces it.
 * Prints `ready`.
 *
 * Frames carry their virtio_net_hdr (PACKET_VNET_HDR), so that a checksum which a veth left to the hardware, and a
 * segment larger than the MTU, arrive on the other side as what they are. A VLAN tag that a host's kernel left to the
 * hardware is lost: a slow link carries untagged frames.
 */
import { createInterface } from 'node:readline';
import { text, us } from '../base/index.ts';
import {
  type Addon,
  AF_PACKET,
  Batch,
  hostError,
  int32,
  linuxClock,
  loadAddon,
  SOCK_RAW,
  type SocketHandle,
  sockaddrLink,
} from '../host/linux/index.ts';
import { admit, idle } from './shaper.ts';
import type { Slowness } from './types.ts';

// include/uapi/linux/if_packet.h
const SOL_PACKET = 263;
const PACKET_ADD_MEMBERSHIP = 1;
const PACKET_VNET_HDR = 15;
const PACKET_IGNORE_OUTGOING = 23;
const PACKET_MR_PROMISC = 1;
const ETH_P_ALL = 3;
const SIOCGIFINDEX = 0x8933;
/** virtio_net_hdr without num_buffers; then a whole 64 KiB segment with its Ethernet header. */
const SLOT = 10 + 65_536 + 64;

type Both = { readonly in?: Slowness; readonly out?: Slowness };
const [, , cable = '', bridge = '', json = '{}'] = process.argv;
let slow = JSON.parse(json) as Both;

const loaded = loadAddon();
if (!loaded.ok) {
  process.stderr.write(`${loaded.error.doing.en}\n`);
  process.exit(1);
}
const addon: Addon = loaded.value;
const clock = linuxClock(addon);

function open(name: string): SocketHandle {
  const must = (n: number | SocketHandle, doing: string): void => {
    if (typeof n !== 'number' || n >= 0) return;
    process.stderr.write(`${doing} ${name}: ${hostError(n, text(doing, doing)).code}\n`);
    process.exit(1);
  };
  const s = addon.open(AF_PACKET, SOCK_RAW, 0);
  must(s, 'open a packet socket on');
  const socket = s as SocketHandle;
  // struct ifreq: 16 bytes of name, then the index. sysfs would show the namespace in which it was mounted.
  const request = new Uint8Array(40);
  request.set(new TextEncoder().encode(name));
  must(addon.ioctl(socket, SIOCGIFINDEX, request), 'find');
  const index = new Int32Array(request.buffer)[4] as number;
  must(addon.setOption(socket, SOL_PACKET, PACKET_VNET_HDR, int32(1)), 'ask for virtio headers on');
  must(addon.setOption(socket, SOL_PACKET, PACKET_IGNORE_OUTGOING, int32(1)), 'ignore own frames on');
  // struct packet_mreq: ifindex, u16 type, u16 length, 8 bytes of address
  const promiscuous = new Uint8Array(16);
  promiscuous.set(int32(index));
  new Uint16Array(promiscuous.buffer)[2] = PACKET_MR_PROMISC;
  must(addon.setOption(socket, SOL_PACKET, PACKET_ADD_MEMBERSHIP, promiscuous), 'make promiscuous');
  must(addon.bind(socket, sockaddrLink(index, ETH_P_ALL)), 'bind to');
  return socket;
}

function carry(from: SocketHandle, to: SocketHandle, direction: 'in' | 'out'): void {
  const batch = new Batch(addon, from, 64, SLOT, 64);
  let wire = idle;
  addon.watch(from, (n) => {
    const at = clock.now();
    for (let i = 0; i < n; i++) {
      const how = slow[direction];
      const decided = how ? admit(how, wire, { length: batch.length(i) - 10, at }, Math.random) : { wire, due: us(at) };
      wire = decided.wire;
      if (decided.due === undefined) continue;
      // A full send buffer loses the frame, as a full queue does.
      if (decided.due <= at) addon.send(to, batch.payload(i), undefined, undefined, 0);
      else {
        const copy = batch.payload(i).slice();
        clock.at(decided.due, () => addon.send(to, copy, undefined, undefined, 0));
      }
    }
  });
}

const [near, far] = [open(cable), open(bridge)];
carry(near, far, 'out');
carry(far, near, 'in');
createInterface(process.stdin).on('line', (line) => {
  slow = JSON.parse(line) as Both;
});
process.stdout.write('ready\n');
