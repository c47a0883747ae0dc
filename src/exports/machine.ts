/**
 * The handshake, as a pure machine: options in, replies out, until a client has an export or is gone. proto.md, "Newstyle
 * negotiation". It never closes for what it does not know, and never answers an option twice.
 */
import {
  decodeContextRequest,
  decodeInfoRequest,
  encodeContext,
  encodeGreeting,
  encodeInfo,
  encodeListed,
  encodeOptionReply,
  NBD_HANDSHAKE,
  NBD_INFO,
  NBD_OPTION,
  NBD_REPLY,
  type NbdContextRequest,
  nbdBytes,
  nbdString,
} from '../wire/index.ts';
import { transmissionFlags } from './flags.ts';
import { type Export, MAX_BLOCK, type TlsMode } from './types.ts';

/** The only context that is offered, and the number under which it goes. */
const BASE_ALLOCATION = 'base:allocation';
export const BASE_ALLOCATION_ID = 1;
/** Longest data of an option; what is longer is read past and answered. */
export const MAX_OPTION_DATA = 65_536;
const SECTOR = 512;

export type HandshakePolicy = {
  readonly tls: TlsMode;
  /** Whether LIST is answered. */
  readonly list: boolean;
  /** By name; the empty name is the default export. */
  readonly find: (name: string) => Export | undefined;
  readonly all: () => readonly Export[];
};

export type Handshake = {
  readonly is: 'flags' | 'options' | 'starting-tls' | 'done';
  readonly noZeroes: boolean;
  readonly tls: boolean;
  /** Name in the client's certificate, which was verified; undefined without one. */
  readonly identity: string | undefined;
  readonly structured: boolean;
  readonly extended: boolean;
  /** The export for which base:allocation was chosen. */
  readonly allocationOf: string | undefined;
};

export type HandshakeEvent =
  | { readonly kind: 'client-flags'; readonly flags: number }
  | { readonly kind: 'option'; readonly option: number; readonly data: Uint8Array }
  /** An option whose data were too long and were read past. */
  | { readonly kind: 'oversized'; readonly option: number; readonly length: number }
  | { readonly kind: 'tls'; readonly identity: string | undefined };

export type CloseReason = 'abort' | 'unknown-export' | 'client-flags' | 'tls-required' | 'not-permitted';
export type HandshakeEffect =
  | { readonly kind: 'send'; readonly bytes: Uint8Array }
  /** After what was sent has gone out; plain bytes that have already arrived are thrown away. */
  | { readonly kind: 'start-tls' }
  | {
      readonly kind: 'transmit';
      readonly export: Export;
      readonly structured: boolean;
      readonly extended: boolean;
      readonly allocation: boolean;
    }
  | { readonly kind: 'close'; readonly because: CloseReason };

export type HandshakeStep = { readonly state: Handshake; readonly effects: readonly HandshakeEffect[] };

export const greeting = (): Uint8Array =>
  encodeGreeting({ flags: NBD_HANDSHAKE.fixedNewstyle | NBD_HANDSHAKE.noZeroes });

export const NEW_HANDSHAKE: Handshake = {
  is: 'flags',
  noZeroes: false,
  tls: false,
  identity: undefined,
  structured: false,
  extended: false,
  allocationOf: undefined,
};

const nothing = new Uint8Array(0);
const reply = (option: number, type: number, data: Uint8Array = nothing): HandshakeEffect => ({
  kind: 'send',
  bytes: encodeOptionReply({ option, type, data }),
});
/** An error, with words for people behind it. */
const refusal = (option: number, type: number, words: string): HandshakeEffect => reply(option, type, nbdBytes(words));
const close = (because: CloseReason): HandshakeEffect => ({ kind: 'close', because });

export function step(policy: HandshakePolicy, s: Handshake, e: HandshakeEvent): HandshakeStep {
  const stay = (...effects: HandshakeEffect[]): HandshakeStep => ({ state: s, effects });
  const end = (...effects: HandshakeEffect[]): HandshakeStep => ({ state: { ...s, is: 'done' }, effects });
  switch (e.kind) {
    case 'client-flags': {
      const known = NBD_HANDSHAKE.fixedNewstyle | NBD_HANDSHAKE.noZeroes;
      // "the server MUST drop the connection" at a flag it does not know; without fixed newstyle no option but one has an answer.
      if (s.is !== 'flags' || (e.flags & ~known) !== 0) return end(close('client-flags'));
      return { state: { ...s, is: 'options', noZeroes: (e.flags & NBD_HANDSHAKE.noZeroes) !== 0 }, effects: [] };
    }
    case 'tls':
      // All that was agreed in plain text is forgotten, as somebody else may have agreed it.
      return {
        state: { ...NEW_HANDSHAKE, is: 'options', noZeroes: s.noZeroes, tls: true, identity: e.identity },
        effects: [],
      };
    case 'oversized':
      if (e.option === NBD_OPTION.exportName) return end(close('unknown-export'));
      if (needsTls(policy, s, e.option)) return stay(tlsRequired(e.option));
      return stay(refusal(e.option, NBD_REPLY.tooBig, `${e.length} bytes are more than ${MAX_OPTION_DATA}`));
    case 'option':
      if (needsTls(policy, s, e.option))
        return e.option === NBD_OPTION.exportName ? end(close('tls-required')) : stay(tlsRequired(e.option));
      return option(policy, s, e.option, e.data, stay, end);
  }
}

const needsTls = (policy: HandshakePolicy, s: Handshake, option: number): boolean =>
  policy.tls === 'forced' && !s.tls && option !== NBD_OPTION.starttls && option !== NBD_OPTION.abort;
const tlsRequired = (option: number): HandshakeEffect =>
  refusal(option, NBD_REPLY.tlsRequired, 'this server speaks only through TLS');

type Answer = (...effects: HandshakeEffect[]) => HandshakeStep;

function option(
  policy: HandshakePolicy,
  s: Handshake,
  number: number,
  data: Uint8Array,
  stay: Answer,
  end: Answer,
): HandshakeStep {
  const invalid = (words: string): HandshakeStep => stay(refusal(number, NBD_REPLY.invalid, words));
  const agree = (change: Partial<Handshake>, ...effects: HandshakeEffect[]): HandshakeStep => ({
    state: { ...s, ...change },
    effects: [...effects, reply(number, NBD_REPLY.ack)],
  });
  switch (number) {
    case NBD_OPTION.abort:
      return end(reply(number, NBD_REPLY.ack), close('abort'));
    case NBD_OPTION.exportName: {
      const name = nbdString(data);
      const found = name === undefined ? undefined : policy.find(name);
      if (found === undefined) return end(close('unknown-export'));
      if (!permitted(found, s) || found.refuses?.() !== undefined) return end(close('not-permitted'));
      // A client of this kind has no way to ask for extended headers' counterpart; the description forbids the mixture.
      if (s.extended) return end(close('unknown-export'));
      return end({ kind: 'send', bytes: oldReply(found, s) }, transmit(found, s));
    }
    case NBD_OPTION.list:
      if (data.length > 0) return invalid('LIST takes no data');
      if (!policy.list) return stay(refusal(number, NBD_REPLY.policy, 'exports are not listed'));
      return agree(
        {},
        ...policy
          .all()
          .filter((x) => permitted(x, s))
          .map((x) => reply(number, NBD_REPLY.server, encodeListed(x))),
      );
    case NBD_OPTION.starttls:
      if (data.length > 0) return invalid('STARTTLS takes no data');
      if (policy.tls === 'none') return stay(refusal(number, NBD_REPLY.policy, 'TLS is not set up here'));
      if (s.tls) return invalid('TLS is on already');
      return { state: { ...s, is: 'starting-tls' }, effects: [reply(number, NBD_REPLY.ack), { kind: 'start-tls' }] };
    case NBD_OPTION.structuredReply:
      if (data.length > 0) return invalid('STRUCTURED_REPLY takes no data');
      if (s.structured || s.extended) return invalid('structured replies are on already');
      return agree({ structured: true });
    case NBD_OPTION.extendedHeaders:
      if (data.length > 0) return invalid('EXTENDED_HEADERS takes no data');
      if (s.extended) return invalid('extended headers are on already');
      return agree({ structured: true, extended: true });
    case NBD_OPTION.info:
    case NBD_OPTION.go:
      return info(policy, s, number, data, stay, end);
    case NBD_OPTION.listMetaContext:
    case NBD_OPTION.setMetaContext:
      return contexts(policy, s, number, data, stay, agree);
    default:
      return stay(refusal(number, NBD_REPLY.unsupported, `option ${number} is not known`));
  }
}

function info(
  policy: HandshakePolicy,
  s: Handshake,
  number: number,
  data: Uint8Array,
  stay: Answer,
  end: Answer,
): HandshakeStep {
  const asked = decodeInfoRequest(data);
  if (!asked.ok) return stay(refusal(number, NBD_REPLY.invalid, `malformed request (${asked.error.kind})`));
  const found = policy.find(asked.value.name);
  // Whether an export exists is no business of whom it is not for.
  if (found === undefined || !permitted(found, s))
    return stay(refusal(number, NBD_REPLY.unknown, `no export "${asked.value.name}"`));
  const refused = found.refuses?.();
  if (refused !== undefined) return stay(refusal(number, NBD_REPLY.policy, refused.en));
  const b = found.backend;
  const send = (x: Parameters<typeof encodeInfo>[0]): HandshakeEffect => reply(number, NBD_REPLY.info, encodeInfo(x));
  const wanted = new Set(asked.value.wanted);
  // Who does not ask is taken to keep to sectors, as kernels do.
  if (b.unit > SECTOR && number === NBD_OPTION.go && !wanted.has(NBD_INFO.blockSize))
    return stay(refusal(number, NBD_REPLY.blockSizeRequired, `requests must be multiples of ${b.unit} bytes`));
  const effects = [
    send({ kind: 'export', size: BigInt(b.size), flags: transmissionFlags(found, s.structured) }),
    send({ kind: 'block-size', minimum: b.unit, preferred: Math.max(b.unit, b.preferredBlock), maximum: MAX_BLOCK }),
    ...(wanted.has(NBD_INFO.name) ? [send({ kind: 'name', name: found.name })] : []),
    ...(wanted.has(NBD_INFO.description) && found.description !== ''
      ? [send({ kind: 'description', description: found.description })]
      : []),
    reply(number, NBD_REPLY.ack),
  ];
  return number === NBD_OPTION.info ? stay(...effects) : end(...effects, transmit(found, s));
}

/** Queries that name base:allocation, itself or by its namespace. No query at all lists everything. */
const asksAllocation = (q: NbdContextRequest, listing: boolean): boolean =>
  q.queries.includes(BASE_ALLOCATION) || (listing && (q.queries.length === 0 || q.queries.includes('base:')));

function contexts(
  policy: HandshakePolicy,
  s: Handshake,
  number: number,
  data: Uint8Array,
  stay: Answer,
  agree: (change: Partial<Handshake>, ...effects: HandshakeEffect[]) => HandshakeStep,
): HandshakeStep {
  const setting = number === NBD_OPTION.setMetaContext;
  // Whatever comes of it, a new SET replaces the old.
  const none: Partial<Handshake> = setting ? { allocationOf: undefined } : {};
  const refuse = (type: number, words: string): HandshakeStep => ({
    state: { ...s, ...none },
    effects: stay(refusal(number, type, words)).effects,
  });
  if (!s.structured) return refuse(NBD_REPLY.invalid, 'contexts need structured replies');
  const asked = decodeContextRequest(data);
  if (!asked.ok) return refuse(NBD_REPLY.invalid, `malformed request (${asked.error.kind})`);
  const found = policy.find(asked.value.name);
  if (found === undefined || !permitted(found, s)) return refuse(NBD_REPLY.unknown, `no export "${asked.value.name}"`);
  if (!asksAllocation(asked.value, !setting)) return agree(none);
  // The number means something only once the context is set.
  const context = encodeContext({ id: setting ? BASE_ALLOCATION_ID : 0, name: BASE_ALLOCATION });
  return agree(setting ? { allocationOf: found.name } : {}, reply(number, NBD_REPLY.metaContext, context));
}

const permitted = (x: Export, s: Handshake): boolean =>
  x.clients === undefined || (s.identity !== undefined && x.clients.includes(s.identity));

const transmit = (x: Export, s: Handshake): HandshakeEffect => ({
  kind: 'transmit',
  export: x,
  structured: s.structured,
  extended: s.extended,
  allocation: s.structured && s.allocationOf === x.name,
});

/** EXPORT_NAME's answer: size, flags, and zeros for clients that did not wave them away. */
function oldReply(x: Export, s: Handshake): Uint8Array {
  const out = new Uint8Array(10 + (s.noZeroes ? 0 : 124));
  const v = new DataView(out.buffer);
  v.setBigUint64(0, BigInt(x.backend.size));
  v.setUint16(8, transmissionFlags(x, s.structured));
  return out;
}
