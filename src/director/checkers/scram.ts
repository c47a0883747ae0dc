/** SCRAM-SHA-256 (RFC 5802, RFC 7677), the client's side, without channel binding. */
import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto';

/** One derivation takes about 25 ms at this; a server that asks for more would stop every other check. */
const MOST_ITERATIONS = 100_000;
const hmac = (key: Uint8Array, s: string): Uint8Array => createHmac('sha256', key).update(s).digest();
const base64 = (b: Uint8Array): string => Buffer.from(b).toString('base64');

export const scramFirst = (nonce: string): string => `n,,n=,r=${nonce}`;

/** What is sent, and what the server must then say; undefined where its message is malformed or asks for too much. */
export function scramFinal(
  nonce: string,
  password: string,
  serverFirst: string,
): { readonly send: string; readonly verifies: (serverFinal: string) => boolean } | undefined {
  const m = /^r=([^,]+),s=([A-Za-z0-9+/=]+),i=(\d{1,7})(?:,|$)/.exec(serverFirst);
  if (!m) return undefined;
  const [, combined, salt, count] = m as unknown as [string, string, string, string];
  const iterations = Number(count);
  if (!combined.startsWith(nonce) || combined === nonce || iterations < 1 || iterations > MOST_ITERATIONS)
    return undefined;
  const salted = pbkdf2Sync(password.normalize('NFKC'), Buffer.from(salt, 'base64'), iterations, 32, 'sha256');
  const clientKey = hmac(salted, 'Client Key');
  const storedKey = createHash('sha256').update(clientKey).digest();
  const bare = `c=biws,r=${combined}`;
  const auth = `n=,r=${nonce},${serverFirst},${bare}`;
  const signature = hmac(storedKey, auth);
  const proof = clientKey.map((x, i) => x ^ (signature[i] as number));
  const expected = hmac(hmac(salted, 'Server Key'), auth);
  return {
    send: `${bare},p=${base64(proof)}`,
    verifies(serverFinal) {
      const v = Buffer.from(/^v=([A-Za-z0-9+/=]+)/.exec(serverFinal)?.[1] ?? '', 'base64');
      return v.length === expected.length && timingSafeEqual(v, expected);
    },
  };
}
