/**
 * Options as getopt_long(3) reads them, which is what scripts and unit files of the old tools were written for: short
 * ones may be joined (`-nlD`), a value may follow at once (`-fFILE`) or as the next word, an optional value only at once,
 * long ones may be shortened as long as one alone fits, and words may stand anywhere before `--`.
 */
import { err, ok, type Result, type Text, text } from '../../base/index.ts';

export type OptionSpec = {
  /** One character, absent where there is only a long form. */
  readonly short?: string;
  readonly long: string;
  readonly value: 'none' | 'required' | 'optional';
};
export type GivenOption = { readonly long: string; readonly value: string | undefined };
export type GivenWords = { readonly options: readonly GivenOption[]; readonly words: readonly string[] };

export function getopt(specs: readonly OptionSpec[], argv: readonly string[]): Result<GivenWords, Text> {
  const options: GivenOption[] = [];
  const words: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string;
    if (word === '--') {
      words.push(...argv.slice(i + 1));
      break;
    }
    if (word === '-' || !word.startsWith('-')) {
      words.push(word);
      continue;
    }
    if (word.startsWith('--')) {
      const equals = word.indexOf('=');
      const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
      const exact = specs.filter((s) => s.long === name);
      const fits = exact.length > 0 ? exact : specs.filter((s) => s.long.startsWith(name));
      const spec = fits[0];
      if (spec === undefined) return err(text(`unknown option --${name}`, `未知选项 --${name}`));
      if (fits.length > 1) {
        const all = fits.map((f) => `--${f.long}`).join(', ');
        return err(text(`--${name} may mean ${all}`, `--${name} 有多种可能：${all}`));
      }
      let value = equals < 0 ? undefined : word.slice(equals + 1);
      if (spec.value === 'none' && value !== undefined)
        return err(text(`--${spec.long} takes no value`, `--${spec.long} 不接受参数值`));
      if (spec.value === 'required' && value === undefined) {
        value = argv[++i];
        if (value === undefined) return err(needs(`--${spec.long}`));
      }
      options.push({ long: spec.long, value });
      continue;
    }
    for (let at = 1; at < word.length; at++) {
      const letter = word[at] as string;
      const spec = specs.find((s) => s.short === letter);
      if (spec === undefined) return err(text(`unknown option -${letter}`, `未知选项 -${letter}`));
      if (spec.value === 'none') {
        options.push({ long: spec.long, value: undefined });
        continue;
      }
      const rest = word.slice(at + 1);
      let value = rest === '' ? undefined : rest;
      if (spec.value === 'required' && value === undefined) {
        value = argv[++i];
        if (value === undefined) return err(needs(`-${letter}`));
      }
      options.push({ long: spec.long, value });
      break;
    }
  }
  return ok({ options, words });
}

const needs = (option: string): Text => text(`${option} needs a value`, `${option} 需要一个参数值`);
