export * from './attach/index.ts';
export { type FileBackend, fileBackend } from './file-backend.ts';
export {
  type ClientStatus,
  DEFAULT_OPTIONS,
  ExportServer,
  requirementsOf,
  type ServerHost,
  type ServerOptions,
} from './server.ts';
export { DEFAULT_SLOTS, type SlotSizes } from './slots.ts';
export type * from './types.ts';
