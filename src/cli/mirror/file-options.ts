/** What the verbs that read a file themselves have in common; `-c` is what drbdadm calls it. */
export const FILE_OPTIONS = {
  file: { type: 'string', short: 'f' },
  'config-file': { type: 'string', short: 'c' },
  lang: { type: 'string' },
} as const;
