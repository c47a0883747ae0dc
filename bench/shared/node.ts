/** What runs a part of the product by itself, with the memory that the product's own processes have (`bin/holdfast`). */
export const nodeAsDaemon = (main: string, load: object): string[] => [
  process.execPath,
  '--max-semi-space-size=1',
  main,
  JSON.stringify(load),
];
