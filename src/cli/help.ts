export const help = (_: unknown): never => {
  throw new Error('bug');
};
