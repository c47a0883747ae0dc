/** Guests for tests: where this machine can have none (no emulator, no archive in reach), the tests say why and are skipped. */
import { LabError } from '../../src/lab/index.ts';
import { guestKernel } from '../../src/lab/vm/index.ts';

/** What `skip` of a test wants: false, or the reason. Fetches the guests' kernel where it is not there yet. */
export async function withoutGuests(): Promise<string | false> {
  try {
    await guestKernel();
    return false;
  } catch (e) {
    if (e instanceof LabError && e.code === 'lab-no-vm') return e.message;
    throw e;
  }
}
