/** What runs a part of the product by itself, with the memory that the parts of a daemon have (`src/daemon/channel.ts`). */
export const nodeAsDaemon = (main: string, ...args: readonly string[]): string[] => [
  process.execPath,
  '--max-semi-space-size=1',
  main,
  ...args,
];
