/** Generic netlink: families by name, commands by number. linux/genetlink.h, Documentation/networking/generic_netlink.rst. */
import { err, ok, type Result } from '../../base/index.ts';
import { Attributes } from './attributes.ts';
import type { NetlinkError } from './message.ts';
import { NativeView } from './native.ts';
import { NetlinkWriter } from './writer.ts';

/** The message type of the controller, which knows the others. */
export const GENL_ID_CTRL = 16;
const CTRL_CMD = { newFamily: 1, getFamily: 3 } as const;
const CTRL_ATTR = { id: 1, name: 2, version: 3, headerSize: 4, maxAttribute: 5 } as const;
const CTRL_VERSION = 1;
/** NLA_F_NESTED: families of today want their nests marked. */
export const NESTED = 0x8000;
const HEAD = 4; // struct genlmsghdr: u8 command, u8 version, u16 reserved

export function writeGenericHead(w: NetlinkWriter, command: number, version: number): NetlinkWriter {
  return w.u8(command).u8(version).u16(0);
}
/** The command and the attributes of a generic netlink message's payload. */
export function readGeneric(
  b: Uint8Array,
): Result<{ readonly command: number; readonly attributes: Attributes }, NetlinkError> {
  if (b.length < HEAD) return err({ kind: 'length', have: b.length, need: HEAD });
  return ok({ command: new NativeView(b).u8(0), attributes: new Attributes(b.subarray(HEAD)) });
}

/** What the controller says of a family; `id` is the message type to speak to it with. */
export type GenericFamily = { readonly id: number; readonly name: string; readonly version: number };

/** Payload of CTRL_CMD_NEWFAMILY. */
export function decodeGenericFamily(b: Uint8Array): Result<GenericFamily, NetlinkError> {
  const got = readGeneric(b);
  if (!got.ok) return got;
  const a = got.value.attributes;
  const [id, name, version] = [a.u16(CTRL_ATTR.id), a.text(CTRL_ATTR.name), a.u32(CTRL_ATTR.version) ?? 0];
  if (a.flaw !== undefined) return err({ kind: 'attribute', type: a.flaw });
  if (id === undefined) return err({ kind: 'missing', type: CTRL_ATTR.id });
  if (name === undefined) return err({ kind: 'missing', type: CTRL_ATTR.name });
  return ok({ id, name, version });
}
/** As the controller tells of it. */
export function encodeGenericFamily(f: GenericFamily): Uint8Array {
  const w = writeGenericHead(new NetlinkWriter(), CTRL_CMD.newFamily, CTRL_VERSION);
  return w
    .attrText(CTRL_ATTR.name, f.name)
    .attrU16(CTRL_ATTR.id, f.id)
    .attrU32(CTRL_ATTR.version, f.version)
    .attrU32(CTRL_ATTR.headerSize, 0)
    .attrU32(CTRL_ATTR.maxAttribute, 0)
    .done();
}
/** Payload of CTRL_CMD_GETFAMILY. The kernel loads the module that has the family, where it can. */
export function writeFamilyRequest(w: NetlinkWriter, name: string): void {
  writeGenericHead(w, CTRL_CMD.getFamily, CTRL_VERSION).attrText(CTRL_ATTR.name, name);
}
