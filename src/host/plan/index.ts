export { commandLine, type NameOf } from './describe.ts';
