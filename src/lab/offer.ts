import { serveClient } from './control.ts';
import { listen } from './control-socket.ts';
import type { Lab } from './lab.ts';

export type Offer = {
  /** Resolves when a client asked for the end (`npm run lab -- down`). */
  readonly ended: Promise<void>;
  close(): void;
};

/**
 * Lets `npm run lab -- [--name NAME] VERB` work on a lab that some other program keeps. Rejects with LabError
 * `lab-already-up` where a lab of that name is up.
 */
export async function offer(lab: Lab, name = 'lab'): Promise<Offer> {
  const ended = Promise.withResolvers<void>();
  const server = await listen(name, (client) => serveClient(lab, client, ended.resolve));
  return { ended: ended.promise, close: () => server.close() };
}
