/** What a person reads, in both languages of the product. Names, keywords and values stay as the operator typed them. */
export type Text = { readonly en: string; readonly zh: string };
export type Language = keyof Text;

export const text = (en: string, zh: string): Text => ({ en, zh });
/** The same words in both languages: names, numbers, what another program printed. */
export const verbatim = (words: string): Text => ({ en: words, zh: words });

/**
 * The reader's language: `--lang` wins, then HOLDFAST_LANG, LC_ALL, LC_MESSAGES, LANG, as POSIX orders them.
 * Anything that does not begin with `zh` is English.
 */
export function languageOf(env: Readonly<Record<string, string | undefined>>, option?: string): Language {
  const chosen = option || env['HOLDFAST_LANG'] || env['LC_ALL'] || env['LC_MESSAGES'] || env['LANG'] || '';
  return chosen.toLowerCase().startsWith('zh') ? 'zh' : 'en';
}
