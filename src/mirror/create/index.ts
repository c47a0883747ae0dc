export * from './decide.ts';
export * from './signatures.ts';
export * from './writes.ts';
