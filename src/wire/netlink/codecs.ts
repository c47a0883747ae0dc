import { decodeAddress, encodeAddress } from './address.ts';
import { decodeConntrack, encodeConntrack } from './conntrack.ts';
import { decodeFilter, encodeFilter } from './filter.ts';
import { decodeGenericFamily, encodeGenericFamily } from './generic.ts';
import { decodeIpvsDestination, decodeIpvsService, encodeIpvsDestination, encodeIpvsService } from './ipvs.ts';
import {
  decodeIpvsDaemon,
  decodeIpvsInfo,
  decodeIpvsTimeouts,
  encodeIpvsDaemon,
  encodeIpvsInfo,
  encodeIpvsTimeouts,
} from './ipvs-settings.ts';
import { decodeLink, encodeLink } from './link.ts';
import {
  type Acknowledgement,
  decodeAcknowledgement,
  decodeMessages,
  encodeAcknowledgement,
  encodeMessages,
  NLM_F,
} from './message.ts';
import {
  decodeNbdDevice,
  decodeNbdSetup,
  decodeNbdStatus,
  encodeNbdDevice,
  encodeNbdSetup,
  encodeNbdStatus,
} from './nbd.ts';
import { decodeNeighbour, encodeNeighbour } from './neighbour.ts';
import { decodeRoute, encodeRoute } from './route.ts';
import { decodeRule, encodeRule } from './rule.ts';

/** For the registry that the round-trip and hostile-bytes tests walk. What is decoded is a payload, behind the message's header. */
export const netlinkCodecs = [
  { name: 'netlink messages', decode: decodeMessages, encode: encodeMessages },
  {
    name: 'netlink acknowledgement',
    decode: (b: Uint8Array) => decodeAcknowledgement(b, NLM_F.capped | NLM_F.ackAttributes),
    encode: (a: Acknowledgement) => encodeAcknowledgement(a),
  },
  { name: 'rtnetlink link', decode: decodeLink, encode: encodeLink },
  { name: 'rtnetlink address', decode: decodeAddress, encode: encodeAddress },
  { name: 'rtnetlink route', decode: decodeRoute, encode: encodeRoute },
  { name: 'rtnetlink rule', decode: decodeRule, encode: encodeRule },
  { name: 'rtnetlink neighbour', decode: decodeNeighbour, encode: encodeNeighbour },
  { name: 'rtnetlink filter', decode: decodeFilter, encode: encodeFilter },
  { name: 'conntrack entry', decode: decodeConntrack, encode: encodeConntrack },
  { name: 'generic netlink family', decode: decodeGenericFamily, encode: encodeGenericFamily },
  { name: 'ipvs service', decode: decodeIpvsService, encode: encodeIpvsService },
  { name: 'ipvs destination', decode: decodeIpvsDestination, encode: encodeIpvsDestination },
  { name: 'ipvs daemon', decode: decodeIpvsDaemon, encode: encodeIpvsDaemon },
  { name: 'ipvs timeouts', decode: decodeIpvsTimeouts, encode: encodeIpvsTimeouts },
  { name: 'ipvs info', decode: decodeIpvsInfo, encode: encodeIpvsInfo },
  { name: 'nbd netlink setup', decode: decodeNbdSetup, encode: encodeNbdSetup },
  { name: 'nbd netlink device', decode: decodeNbdDevice, encode: encodeNbdDevice },
  { name: 'nbd netlink status', decode: decodeNbdStatus, encode: encodeNbdStatus },
] as const;
