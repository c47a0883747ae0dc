import type { Duplex } from 'node:stream';

/** What the controller tells the guest, and what it hears: one JSON document a line on a serial port. */
export type ToGuest =
  | {
      readonly id: number;
      readonly argv: readonly string[];
      readonly cwd?: string;
      readonly env?: Readonly<Record<string, string>>;
      readonly input?: string;
    }
  | { readonly id: number; readonly signal: NodeJS.Signals }
  | { readonly id: number; readonly files: Readonly<Record<string, string>> };
export type FromGuest =
  | { readonly ready: true }
  | { readonly id: number; readonly from: 'stdout' | 'stderr'; readonly data: string }
  | { readonly id: number; readonly code: number | null; readonly signal: string | null };

/** Documents out, documents in; whole lines only. */
export class LineChannel {
  readonly #stream: Duplex;
  constructor(stream: Duplex, heard: (m: unknown) => void) {
    this.#stream = stream;
    let rest = '';
    stream.on('error', () => {}); // the guest has no power any more, which its end tells
    stream.setEncoding('utf8').on('data', (s: string) => {
      const lines = (rest + s).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line.trim() !== '') heard(JSON.parse(line));
    });
  }
  say(m: unknown): void {
    if (this.#stream.writable) this.#stream.write(`${JSON.stringify(m)}\n`);
  }
}
