export { decodeAddress, encodeAddress, writeAddress, writeAddressDump } from './address.ts';
export { netlinkCodecs } from './codecs.ts';
export {
  type ConntrackChange,
  type ConntrackEntry,
  type ConntrackFilter,
  type ConntrackTcpState,
  type ConntrackTuple,
  CT_GROUPS,
  CT_MSG,
  CT_STATUS,
  decodeConntrack,
  encodeConntrack,
  writeConntrack,
  writeConntrackChange,
  writeConntrackFilter,
} from './conntrack.ts';
export { encapFault } from './encap.ts';
export {
  decodeFilter,
  encodeFilter,
  FILTER_INGRESS,
  type Filter,
  type FilterPlace,
  writeClsact,
  writeFilter,
  writeFilterPlace,
} from './filter.ts';
export {
  decodeGenericFamily,
  encodeGenericFamily,
  GENL_ID_CTRL,
  type GenericFamily,
  writeFamilyRequest,
} from './generic.ts';
export {
  decodeIpvsDestination,
  decodeIpvsService,
  encodeIpvsDestination,
  encodeIpvsService,
  IPVS_CMD,
  IPVS_FAMILY,
  IPVS_FLAG,
  writeIpvsDestination,
  writeIpvsHead,
  writeIpvsIdentity,
  writeIpvsService,
} from './ipvs.ts';
export {
  decodeIpvsDaemon,
  decodeIpvsInfo,
  decodeIpvsTimeouts,
  encodeIpvsDaemon,
  encodeIpvsInfo,
  encodeIpvsTimeouts,
  writeIpvsDaemon,
  writeIpvsDaemonRole,
  writeIpvsTimeouts,
} from './ipvs-settings.ts';
export type * from './ipvs-types.ts';
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
export {
  decodeNbdDevice,
  decodeNbdStatus,
  encodeNbdDevice,
  encodeNbdStatus,
  NBD_GENL_CMD,
  NBD_GENL_FAMILY,
  type NbdDeviceState,
  type NbdSetup,
  writeNbdDevice,
  writeNbdSetup,
} from './nbd.ts';
export { decodeNeighbour, encodeNeighbour, writeNeighbourDump, writeNeighbourKey } from './neighbour.ts';
export { decodeRoute, encodeRoute, isCachedRoute, writeRoute, writeRouteDump } from './route.ts';
export { decodeRule, encodeRule, writeRule, writeRuleDump } from './rule.ts';
export type * from './types.ts';
export { NetlinkWriter } from './writer.ts';
