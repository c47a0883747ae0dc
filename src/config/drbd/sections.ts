/** Statements as the sections of a drbd.conf. A word that does not belong where it stands is told with the place where it would. */
import { text } from '../../base/index.ts';
import type { Report } from '../keepalived/report.ts';
import { type Given, noSections, type OptionSections } from './model.ts';
import { type Moved, OPTION_ROWS, optionRow, optionsOf, RENAMED, type SectionName, SYNCER } from './options.ts';
import type { Statement, Word } from './tree.ts';
import { didYouMean, readOption } from './values.ts';

export type Context = { readonly report: Report };
const SECTIONS = ['options', 'disk', 'net', 'startup', 'handlers', 'proxy', 'syncer'] as const;

/** Words that begin a statement anywhere; for finding where a `;` was forgotten. */
export const KEYWORDS: ReadonlySet<string> = new Set([
  ...OPTION_ROWS.map((r) => r.name),
  ...Object.keys(SYNCER),
  ...Object.keys(RENAMED).map((k) => k.split(' ')[1] as string),
  ...SECTIONS,
  'global',
  'common',
  'resource',
  'volume',
  'on',
  'floating',
  'stacked-on-top-of',
  'connection',
  'connection-mesh',
  'path',
  'host',
  'device',
  'meta-disk',
  'flexible-meta-disk',
  'flex-meta-disk',
  'address',
  'node-id',
  'include',
  'skip',
]);

/** `other`: words that are no options and may stand here too, for the suggestion. */
export function unknown(c: Context, w: Word, where: string, known: readonly string[]): void {
  const homes = [...new Set(OPTION_ROWS.filter((r) => r.name === w.text).map((r) => r.section))];
  const home = homes[0];
  c.report.error(
    'drbd-word-unknown',
    w.at,
    text(`'${w.text}' is not known in ${where}`, `${where} 中没有 '${w.text}'`),
    home === undefined
      ? didYouMean(w.text, known)
      : text(`it belongs in ${homes.join(' or ')} { }`, `应写在 ${homes.join(' 或 ')} { } 中`),
  );
}

function put(into: Map<string, Given>, name: string, given: Given | undefined, report: Report): void {
  if (!given) return;
  const before = into.get(name);
  if (before)
    report.warn(
      'drbd-repeated',
      given.at,
      text(
        `${name} is in line ${before.at.line} already; this one counts`,
        `${name} 已在第 ${before.at.line} 行；以此处为准`,
      ),
    );
  into.set(name, given);
}
const negated = (g: Given | undefined, no: boolean): Given | undefined =>
  g && no ? { ...g, value: g.value !== true, typed: g.value === true ? 'no' : 'yes' } : g;

/** One option of a section. 8.3 spellings are put where they belong now. */
function readInto(
  c: Context,
  target: OptionSections,
  section: SectionName,
  s: Statement,
  into?: Map<string, Given>,
): void {
  const [name, ...values] = s.words;
  const moved = RENAMED[`${section} ${name.text}`];
  const row = optionRow(moved?.section ?? section, moved?.name ?? name.text);
  if (!row) {
    unknown(c, name, section, optionsOf(section));
    return;
  }
  if (s.body) {
    c.report.error(
      'drbd-not-a-section',
      name.at,
      text(`${name.text} is an option and no section`, `${name.text} 是选项，不是小节`),
    );
    return;
  }
  const given = negated(readOption(row, name, values, c.report), moved?.no ?? false);
  put(into ?? sectionMap(target, section), row.name, given, c.report);
}
const sectionMap = (t: OptionSections, section: SectionName): Map<string, Given> =>
  section === 'global' || section === 'proxy' ? new Map() : t[section];

/** The options in `body`, alone. */
export function readOptionSet(c: Context, section: SectionName, body: readonly Statement[]): Map<string, Given> {
  const out = new Map<string, Given>();
  for (const s of live(body)) readInto(c, noSections(), section, s, out);
  return out;
}
function readProxy(c: Context, body: readonly Statement[]): void {
  for (const s of live(body)) {
    // The plugins' words are those of another program.
    if (s.words[0].text === 'plugin' && s.body) continue;
    readInto(c, noSections(), 'proxy', s);
  }
}
function readSyncer(c: Context, target: OptionSections, body: readonly Statement[]): void {
  for (const s of live(body)) {
    const [name, ...values] = s.words;
    const moved: Moved | undefined = Object.hasOwn(SYNCER, name.text) ? SYNCER[name.text] : undefined;
    const row = moved && optionRow(moved.section, moved.name);
    if (!row) unknown(c, name, 'syncer', Object.keys(SYNCER));
    else put(sectionMap(target, row.section), row.name, readOption(row, name, values, c.report), c.report);
  }
}

/** True where the statement was an option section, or one of 8.3's options outside of its section. */
export function readCommonPart(c: Context, target: OptionSections, s: Statement): boolean {
  const [word] = s.words;
  const section = SECTIONS.find((n) => n === word.text);
  if (section && s.body && s.words.length === 1) {
    if (section === 'syncer') readSyncer(c, target, s.body);
    else if (section === 'proxy') {
      target.proxy = word.at;
      readProxy(c, s.body);
    } else for (const inner of live(s.body)) readInto(c, target, section, inner);
    return true;
  }
  if (word.text === 'protocol' && !s.body) {
    readInto(c, target, 'net', s);
    return true;
  }
  return false;
}

/** `skip { }` and `skip resource x { }` are read and count for nothing. */
export const live = (all: readonly Statement[]): Statement[] => all.filter((s) => s.words[0].text !== 'skip');

export function needSection(c: Context, s: Statement): readonly Statement[] {
  if (s.body) return s.body;
  c.report.error(
    'drbd-section-missing',
    s.words[0].at,
    text(`${s.words[0].text} is a section and needs { }`, `${s.words[0].text} 是小节，需要 { }`),
  );
  return [];
}
export const numberBetween = (w: Word | undefined, low: number, high: number): number | undefined => {
  const n = w && /^\d{1,9}$/.test(w.text) ? Number(w.text) : Number.NaN;
  return n >= low && n <= high ? n : undefined;
};
