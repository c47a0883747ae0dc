/**
 * Reads the ELF object that clang makes of native/bpf/*.c: 64 bit, little-endian, relocatable, machine 247. Maps are
 * five u32 each in the section `maps`, named by their symbols; every executable section is one program.
 * Source: System V gABI chapter 4, Linux Documentation/bpf/llvm_reloc.rst.
 */
import { err, ok, type Result } from '../../../base/index.ts';

export type MapDefinition = {
  readonly name: string;
  readonly type: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly entries: number;
  readonly flags: number;
};
export type ProgramCode = {
  readonly name: string;
  /** `tc/director`: what stands before the slash is how it is attached. */
  readonly section: string;
  readonly instructions: Uint8Array;
  /** Where a 16-byte instruction (ld_imm64) loads a map: the byte offset, and the map's name. */
  readonly mapLoads: readonly { readonly at: number; readonly map: string }[];
};
export type ElfObject = {
  readonly license: string;
  readonly maps: readonly MapDefinition[];
  readonly programs: readonly ProgramCode[];
};
export type ElfError =
  | { readonly kind: 'length'; readonly have: number }
  | { readonly kind: 'not-bpf' }
  | { readonly kind: 'broken'; readonly what: string };

const HEADER = 64;
const SECTION_HEADER = 64;
const SYMBOL = 24;
const RELOCATION = 16;
const MAP = 20;
const EM_BPF = 247;
const SHT = { symbols: 2, rel: 9 } as const;
const SHF_EXECUTABLE = 4;
const STT_FUNCTION = 2;
const R_BPF_64_64 = 1;
const LD_IMM64 = 0x18;

type Section = { name: string; type: number; flags: number; info: number; link: number; bytes: Uint8Array };
type Symbol = { name: string; kind: number; section: number; value: number };

class Broken extends Error {}

function readSections(b: Uint8Array, v: DataView): Section[] {
  const [at, count, names] = [Number(v.getBigUint64(40, true)), v.getUint16(60, true), v.getUint16(62, true)];
  if (v.getUint16(58, true) !== SECTION_HEADER || at + count * SECTION_HEADER > b.length) throw new Broken('sections');
  const raw = Array.from({ length: count }, (_, i) => {
    const h = at + i * SECTION_HEADER;
    const type = v.getUint32(h + 4, true);
    const [offset, size] = [Number(v.getBigUint64(h + 24, true)), Number(v.getBigUint64(h + 32, true))];
    if (type !== 8 && offset + size > b.length) throw new Broken(`section ${i}`);
    return {
      name: v.getUint32(h, true),
      type,
      flags: Number(v.getBigUint64(h + 8, true)),
      link: v.getUint32(h + 40, true),
      info: v.getUint32(h + 44, true),
      bytes: type === 8 ? new Uint8Array(0) : b.subarray(offset, offset + size),
    };
  });
  const strings = raw[names]?.bytes ?? new Uint8Array(0);
  return raw.map((s) => ({ ...s, name: stringAt(strings, s.name) }));
}

function stringAt(b: Uint8Array, at: number): string {
  const end = b.indexOf(0, at);
  if (at > b.length || end < 0) return '';
  return new TextDecoder('latin1').decode(b.subarray(at, end));
}

function readSymbols(sections: readonly Section[]): Symbol[] {
  const table = sections.find((s) => s.type === SHT.symbols);
  const strings = table && sections[table.link]?.bytes;
  if (!table || !strings || table.bytes.length % SYMBOL !== 0) throw new Broken('symbols');
  const v = new DataView(table.bytes.buffer, table.bytes.byteOffset, table.bytes.length);
  return Array.from({ length: table.bytes.length / SYMBOL }, (_, i) => ({
    name: stringAt(strings, v.getUint32(i * SYMBOL, true)),
    kind: v.getUint8(i * SYMBOL + 4) & 15,
    section: v.getUint16(i * SYMBOL + 6, true),
    value: Number(v.getBigUint64(i * SYMBOL + 8, true)),
  }));
}

function readMaps(sections: readonly Section[], symbols: readonly Symbol[]): MapDefinition[] {
  const index = sections.findIndex((s) => s.name === 'maps');
  if (index < 0) return [];
  const { bytes } = sections[index] as Section;
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return symbols
    .filter((s) => s.section === index && s.name !== '')
    .sort((a, b) => a.value - b.value)
    .map((s) => {
      if (s.value + MAP > bytes.length) throw new Broken(`map ${s.name}`);
      const [type, keyBytes, valueBytes, entries, flags] = [0, 4, 8, 12, 16].map((o) => v.getUint32(s.value + o, true));
      return { name: s.name, type, keyBytes, valueBytes, entries, flags } as MapDefinition;
    });
}

function readPrograms(sections: readonly Section[], symbols: readonly Symbol[], maps: readonly MapDefinition[]) {
  const programs: ProgramCode[] = [];
  sections.forEach((s, index) => {
    if (!(s.flags & SHF_EXECUTABLE) || s.bytes.length === 0) return;
    const name = symbols.find((y) => y.section === index && y.kind === STT_FUNCTION && y.value === 0)?.name;
    if (name === undefined || s.bytes.length % 8 !== 0) throw new Broken(`program ${s.name}`);
    const mapLoads: { at: number; map: string }[] = [];
    for (const r of sections.filter((r) => r.type === SHT.rel && r.info === index)) {
      const v = new DataView(r.bytes.buffer, r.bytes.byteOffset, r.bytes.length);
      for (let at = 0; at + RELOCATION <= r.bytes.length; at += RELOCATION) {
        const where = Number(v.getBigUint64(at, true));
        const symbol = symbols[v.getUint32(at + 12, true)];
        const map = maps.find((m) => m.name === symbol?.name);
        if (
          v.getUint32(at + 8, true) !== R_BPF_64_64 ||
          !map ||
          s.bytes[where] !== LD_IMM64 ||
          where + 16 > s.bytes.length
        )
          throw new Broken(`relocation of ${symbol?.name ?? '?'} in ${s.name}`);
        mapLoads.push({ at: where, map: map.name });
      }
    }
    programs.push({ name, section: s.name, instructions: s.bytes, mapLoads });
  });
  return programs;
}

/** Never throws, whatever the bytes. What it returns are views of them. */
export function readElf(b: Uint8Array): Result<ElfObject, ElfError> {
  if (b.length < HEADER) return err({ kind: 'length', have: b.length });
  const v = new DataView(b.buffer, b.byteOffset, b.length);
  // 0x7f ELF, 64 bit, little-endian; ET_REL; EM_BPF
  if (v.getUint32(0) !== 0x7f454c46 || v.getUint16(4) !== 0x0201 || v.getUint16(16, true) !== 1)
    return err({ kind: 'not-bpf' });
  if (v.getUint16(18, true) !== EM_BPF) return err({ kind: 'not-bpf' });
  try {
    const sections = readSections(b, v);
    const symbols = readSymbols(sections);
    const maps = readMaps(sections, symbols);
    const license = stringAt(sections.find((s) => s.name === 'license')?.bytes ?? new Uint8Array(0), 0);
    return ok({ license, maps, programs: readPrograms(sections, symbols, maps) });
  } catch (e) {
    if (e instanceof Broken) return err({ kind: 'broken', what: e.message });
    throw e;
  }
}

const BPF_PSEUDO_MAP_FD = 1;
/** The instructions with each map's descriptor where the program loads it. */
export function relocate(p: ProgramCode, descriptor: (map: string) => number): Uint8Array {
  const out = p.instructions.slice();
  const v = new DataView(out.buffer);
  for (const l of p.mapLoads) {
    out[l.at + 1] = ((out[l.at + 1] as number) & 0x0f) | (BPF_PSEUDO_MAP_FD << 4);
    v.setUint32(l.at + 4, descriptor(l.map), true);
    v.setUint32(l.at + 12, 0, true);
  }
  return out;
}
