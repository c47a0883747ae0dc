/**
 * The marks that planes put on packets and connections: `0xASSSSNNN`, the tag `A`, the number of the service in 16 bits,
 * the number of the server in it in 12.
 */
export const MARK_TAG = 0xa000_0000;
export const MARK_MASK = 0xf000_0000;
/** All bits but the server's number. */
export const SERVICE_MASK = 0xffff_f000;
/** The server's number alone. */
export const SERVER_MASK = 0xfff;
export const MAX_SERVICES = 0x1_0000;
export const MAX_SERVERS = 0x1000;

/**
 * Of a connection that another director told of and that has not come by here: the tag is `B`. Its first packet takes the
 * bit away.
 */
export const TOLD_BIT = 0x1000_0000;
export const TOLD_TAG = (MARK_TAG | TOLD_BIT) >>> 0;
/** All bits but that: under it the marks of a server are one, whoever knows the connection. */
export const UNTOLD_MASK = ~TOLD_BIT >>> 0;

export const serviceMark = (service: number): number => (MARK_TAG | (service << 12)) >>> 0;
export const serverMark = (service: number, server: number): number => (serviceMark(service) | server) >>> 0;
export const isOurMark = (mark: number): boolean => (mark & MARK_MASK) >>> 0 === MARK_TAG;
export const isToldMark = (mark: number): boolean => (mark & MARK_MASK) >>> 0 === TOLD_TAG;
export const serviceOfMark = (mark: number): number => (mark >>> 12) & 0xffff;
export const serverOfMark = (mark: number): number => mark & 0xfff;
