export { EXIT } from './command/exit-codes.ts';
export { pidPaths } from './command/pidfile.ts';
export { runKeepalived } from './keepalived.ts';
export { runLdirectord } from './ldirectord.ts';
/** Loaded only where it is asked for: `keepalived` needs none of it. */
export const runExport = async (argv: readonly string[]): Promise<number> =>
  (await import('./exports/run.ts')).runExport(argv);
export const runMirror = async (argv: readonly string[]): Promise<number> =>
  (await import('./mirror/run.ts')).runMirror(argv);
/** Stays until the mirror is taken down. */
export const keepMirror = async (argv: readonly string[]): Promise<number> =>
  (await import('./mirror/keeper.ts')).keepMirror(argv);
export const startMirror = (): Promise<typeof import('./mirror/start.ts')> => import('./mirror/start.ts');
export const runAttach = async (argv: readonly string[]): Promise<number> =>
  (await import('./exports/attach/run.ts')).runAttach(argv);
export const runDetach = async (argv: readonly string[]): Promise<number> =>
  (await import('./exports/attach/run.ts')).runDetach(argv);

/** Likewise, on real servers. */
export const runRealServer = async (argv: readonly string[]): Promise<number> =>
  (await import('./realserver/run.ts')).runRealServer(argv);

/** What probes is loaded only where it is asked for. */
export const lbProbe = (): Promise<typeof import('./director/probe.ts')> => import('./director/probe.ts');
export const mirrorFiles = (): Promise<typeof import('./mirror-files.ts')> => import('./mirror-files.ts');
export const mirrorDump = (): Promise<typeof import('./mirror-dump.ts')> => import('./mirror-dump.ts');
export const mirrorUndo = (): Promise<typeof import('./mirror-undo.ts')> => import('./mirror-undo.ts');
export const mirrorCreate = (): Promise<typeof import('./mirror-create.ts')> => import('./mirror-create.ts');
