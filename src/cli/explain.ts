export const explain = (_: unknown): never => {
  throw new Error('bug');
};
