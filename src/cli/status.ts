export const status = (_: unknown): never => {
  throw new Error('bug');
};
