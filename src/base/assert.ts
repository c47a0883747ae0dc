/** Closes a switch over a union: adding a member without handling it no longer compiles. */
export function unreachable(x: never): never {
  throw new Error(`bug: unhandled ${JSON.stringify(x)}`);
}

/** States what must hold, also in production: a node that knows its state is broken stops and lets its peers take over. */
export function invariant(holds: boolean, claim: string): asserts holds {
  if (!holds) throw new Error(`bug: broken invariant: ${claim}`);
}
