/** A reporter of node:test for another process to read: one JSON document for each top-level test, one line each. */
import type { TestEvent } from 'node:test/reporters';

export type Reported = { readonly name: string; readonly failure?: string; readonly skip?: string };

export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const e of events) {
    if ((e.type !== 'test:pass' && e.type !== 'test:fail') || e.data.nesting !== 0) continue;
    const { name, skip } = e.data;
    const error = e.type === 'test:fail' ? e.data.details.error : undefined;
    const cause = error?.cause;
    const failure = error && (cause instanceof Error ? (cause.stack ?? cause.message) : String(cause ?? error.message));
    const told: Reported = {
      name,
      ...(failure !== undefined && { failure }),
      ...(skip !== undefined && skip !== false && { skip: String(skip) }),
    };
    yield `HOLDFAST-TEST ${JSON.stringify(told)}\n`;
  }
}
