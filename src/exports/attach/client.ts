/**
 * The client's half of the handshake, as the kernel's NBD client needs it: fixed newstyle, GO, simple replies. Pure: bytes
 * in, bytes and an outcome out. proto.md, "Fixed newstyle negotiation"; NBD_OPT_GO.
 */
import { type Text, text } from '../../base/index.ts';
import {
  decodeGreeting,
  decodeInfo,
  decodeOptionReply,
  encodeInfoRequest,
  encodeOption,
  GREETING_BYTES,
  NBD_HANDSHAKE,
  NBD_INFO,
  NBD_OPTION,
  NBD_REPLY,
  nbdString,
  OPTION_REPLY_HEADER_BYTES,
} from '../../wire/index.ts';

/** What the server says of the export. Sizes in bytes. */
export type Offer = {
  readonly size: number;
  /** NBD_FLAG */
  readonly flags: number;
  readonly minimumBlock: number;
  readonly preferredBlock: number;
};
export type ClientOutcome =
  | { readonly is: 'under-way' }
  | { readonly is: 'ready'; readonly offer: Offer }
  | { readonly is: 'refused'; readonly why: Text /** Asking again may help. */; readonly forNow: boolean };

/** What a server says beside a refusal is one line for people; that of others is cut to what fits one. */
const LONGEST_WORDS = 300;
function policyWords(data: Uint8Array): Text {
  const said = nbdString(data.subarray(0, LONGEST_WORDS))
    ?.replaceAll(/\p{C}+/gu, ' ')
    .trim();
  if (said) return text(`the server says: ${said}`, `服务器称：${said}`);
  return text('it does not permit this export', '对方不允许使用该导出');
}
const MAX_REPLY = 64 * 1024;
const UNDER_WAY: ClientOutcome = { is: 'under-way' };
const refused = (why: Text, forNow = false): ClientOutcome => ({ is: 'refused', why, forNow });

export class ClientHandshake {
  readonly #name: string;
  #input = new Uint8Array(0);
  #greeted = false;
  #size: { readonly size: number; readonly flags: number } | undefined;
  #minimum = 1;
  #preferred = 4096;

  constructor(name: string) {
    this.#name = name;
  }
  /** How many bytes the next step wants at most, so that nothing of what follows the handshake is read. */
  get wants(): number {
    if (!this.#greeted) return GREETING_BYTES - this.#input.length;
    if (this.#input.length < OPTION_REPLY_HEADER_BYTES) return OPTION_REPLY_HEADER_BYTES - this.#input.length;
    return this.#whole() - this.#input.length;
  }
  #whole(): number {
    const v = new DataView(this.#input.buffer, this.#input.byteOffset, this.#input.length);
    return OPTION_REPLY_HEADER_BYTES + v.getUint32(16);
  }
  /** At most `wants` bytes. What `send` is given is to be sent at once. */
  feed(bytes: Uint8Array, send: (b: Uint8Array) => void): ClientOutcome {
    const joined = new Uint8Array(this.#input.length + bytes.length);
    joined.set(this.#input);
    joined.set(bytes, this.#input.length);
    this.#input = joined;
    return this.#greeted ? this.#reply() : this.#greeting(send);
  }
  #greeting(send: (b: Uint8Array) => void): ClientOutcome {
    if (this.#input.length < GREETING_BYTES) return UNDER_WAY;
    const g = decodeGreeting(this.#input);
    this.#input = new Uint8Array(0);
    if (!g.ok || (g.value.flags & NBD_HANDSHAKE.fixedNewstyle) === 0)
      return refused(text('it is no NBD server of the fixed newstyle', '对方不是 fixed newstyle 的 NBD 服务器'));
    this.#greeted = true;
    const flags = NBD_HANDSHAKE.fixedNewstyle | (g.value.flags & NBD_HANDSHAKE.noZeroes);
    send(new Uint8Array([0, 0, 0, flags]));
    const data = encodeInfoRequest({ name: this.#name, wanted: [NBD_INFO.blockSize] });
    send(encodeOption({ option: NBD_OPTION.go, data }));
    return UNDER_WAY;
  }
  #reply(): ClientOutcome {
    if (this.#input.length < OPTION_REPLY_HEADER_BYTES) return UNDER_WAY;
    if (this.#whole() > MAX_REPLY)
      return refused(text('it answered with more than can be', '对方的应答超出可能的长度'));
    if (this.#input.length < this.#whole()) return UNDER_WAY;
    const r = decodeOptionReply(this.#input);
    this.#input = new Uint8Array(0);
    if (!r.ok) return refused(text('what it answered is no NBD', '对方的应答不是 NBD'));
    switch (r.value.type) {
      case NBD_REPLY.info:
        return this.#info(r.value.data);
      case NBD_REPLY.ack:
        return this.#ready();
      case NBD_REPLY.unknown:
        return refused(text(`it has no export ${this.#name || '""'}`, `对方没有导出 ${this.#name || '""'}`), true);
      case NBD_REPLY.tlsRequired:
        return refused(
          text(
            'it wants TLS; attach through a unix socket of the same machine instead',
            '对方要求 TLS；请改用本机的 unix 套接字挂接',
          ),
        );
      case NBD_REPLY.shutdown:
        return refused(text('it is about to end', '对方正在退出'), true);
      case NBD_REPLY.policy:
        return refused(policyWords(r.value.data), true);
      default:
        return refused(
          text(`it refused (0x${r.value.type.toString(16)})`, `对方拒绝（0x${r.value.type.toString(16)}）`),
        );
    }
  }
  #info(data: Uint8Array): ClientOutcome {
    const i = decodeInfo(data);
    if (!i.ok) return refused(text('what it said of the export is no NBD', '对方对导出的描述不是 NBD'));
    if (i.value.kind === 'export') {
      if (i.value.size > BigInt(Number.MAX_SAFE_INTEGER))
        return refused(text('the export is larger than 8 PiB', '导出大于 8 PiB'));
      this.#size = { size: Number(i.value.size), flags: i.value.flags };
    } else if (i.value.kind === 'block-size') {
      this.#minimum = i.value.minimum;
      this.#preferred = i.value.preferred;
    }
    return UNDER_WAY;
  }
  #ready(): ClientOutcome {
    const e = this.#size;
    if (e === undefined) return refused(text('it did not tell the size', '对方未告知大小'));
    return { is: 'ready', offer: { ...e, minimumBlock: this.#minimum, preferredBlock: this.#preferred } };
  }
}
