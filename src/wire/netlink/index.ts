export { decodeAddress, encodeAddress, writeAddress, writeAddressDump } from './address.ts';
export { netlinkCodecs } from './codecs.ts';
export {
  type ConntrackEntry,
  type ConntrackFilter,
  type ConntrackTcpState,
  type ConntrackTuple,
  CT_MSG,
  decodeConntrack,
  encodeConntrack,
  writeConntrackFilter,
} from './conntrack.ts';
export { encapFault } from './encap.ts';
export {
  decodeLink,
  encodeLink,
  writeLinkIndex,
  writeLinkSettings,
  writeMacvlan,
} from './link.ts';
export {
  type Acknowledgement,
  decodeAcknowledgement,
  decodeMessages,
  encodeAcknowledgement,
  encodeMessages,
  type NetlinkError,
  type NetlinkHeader,
  type NetlinkMessage,
  NLM_F,
  NLMSG,
  RTM,
  writeMessage,
} from './message.ts';
export { decodeNeighbour, encodeNeighbour, writeNeighbourDump, writeNeighbourKey } from './neighbour.ts';
export { decodeRoute, encodeRoute, isCachedRoute, writeRoute, writeRouteDump } from './route.ts';
export { decodeRule, encodeRule, writeRule, writeRuleDump } from './rule.ts';
export type * from './types.ts';
export { NetlinkWriter } from './writer.ts';
