import assert from 'node:assert/strict';
import { test } from 'node:test';
import { carried, entry, FakeConntrack, flow, mark, VIP } from './conntrack.fixture.ts';
import { RENEW, TIMEOUT, ToldEntries } from './told-entries.ts';

function world() {
  const kernel = new FakeConntrack();
  const here = new Set<string>();
  const ours = new Map<string, number>();
  const told = new ToldEntries({
    channel: kernel.channel,
    half: carried,
    isHere: (a) => here.has(a),
    ours: (id) => ours.get(id),
  });
  return { kernel, here, ours, told };
}
const idOf = (kernel: FakeConntrack): string => [...kernel.entries.keys()][0] as string;

test('what the other tells is an entry that leads to its server, with the mark of what was told; repeating is nothing', () => {
  const { kernel, told } = world();
  told.adopt([flow(1, 1), flow(2, 3)]);
  assert.deepEqual(kernel.lines, ['1 at 1 told', '2 at 3 told']);
  const [first] = kernel.entries.values();
  assert.deepEqual(first?.destinationNat, { address: '10.0.0.1', port: 8080 });
  assert.equal(first?.timeout, TIMEOUT);
  const before = [...kernel.entries.values()];
  told.adopt([flow(1, 1), flow(2, 3)]);
  assert.deepEqual([...kernel.entries.values()], before);
});
test('of another server it is another entry; over, it goes; what is not wanted here is ignored', () => {
  const { kernel, told } = world();
  told.adopt([flow(1, 1), { ...flow(2, 1), server: '10.0.0.7:8080' }, { ...flow(3, 1), service: 'tcp 192.0.2.1:80' }]);
  assert.deepEqual(kernel.lines, ['1 at 1 told']);
  told.adopt([flow(1, 2)]);
  assert.deepEqual(kernel.lines, ['1 at 2 told']);
  told.abandon([flow(1, 2), flow(4, 1)]);
  assert.deepEqual(kernel.lines, []);
});
test('what still is told is renewed before it lapses, and what the kernel forgot meanwhile is put again', () => {
  const { kernel, told } = world();
  told.adopt([flow(1, 1)]);
  const id = idOf(kernel);
  kernel.entries.set(id, { ...(kernel.entries.get(id) as ReturnType<typeof entry>), timeout: 7 });
  for (let i = 0; i < RENEW - 1; i++) told.tick();
  told.adopt([flow(1, 1)]);
  assert.equal(kernel.entries.get(id)?.timeout, 7);
  told.tick();
  told.adopt([flow(1, 1)]);
  assert.equal(kernel.entries.get(id)?.timeout, TIMEOUT);
  kernel.entries.clear();
  for (let i = 0; i < RENEW; i++) told.tick();
  told.adopt([flow(1, 1)]); // finds that it is gone
  told.adopt([flow(1, 1)]);
  assert.deepEqual(kernel.lines, ['1 at 1 told']);
});
test('an older connection with these ports gives way where the address is not here, and stays where it is', () => {
  const { kernel, here, told } = world();
  kernel.put(entry(1, 2));
  told.adopt([flow(1, 1)]);
  assert.deepEqual(kernel.lines, ['1 at 1 told']);
  kernel.put(entry(2, 2));
  here.add(VIP);
  told.adopt([flow(2, 1)]);
  assert.deepEqual(kernel.lines, ['1 at 1 told', '2 at 2']);
});
test('a connection that came by here is ours: it is neither replaced while the address is here, nor taken away when the other is done with it', () => {
  const { kernel, here, ours, told } = world();
  here.add(VIP);
  told.adopt([flow(1, 1)]);
  const id = idOf(kernel);
  kernel.put(entry(1, 1));
  ours.set(id, mark(1));
  told.forget(entry(1, 1).original);
  told.adopt([flow(1, 2)]);
  told.abandon([flow(1, 1)]);
  assert.deepEqual(kernel.lines, ['1 at 1']);
});
test('when the address leaves, what was ours is as if it had been told', () => {
  const { kernel, told } = world();
  kernel.put(entry(1, 1));
  told.giveUp([{ tuple: entry(1, 1).original, mark: mark(1) }]);
  assert.deepEqual(kernel.lines, ['1 at 1 told']);
  assert.equal([...kernel.entries.values()][0]?.timeout, TIMEOUT);
  told.abandon([flow(1, 1)]);
  assert.deepEqual(kernel.lines, []);
});
test('entries that an earlier process put are known from the table, and go when the other is done with them', () => {
  const { kernel, told } = world();
  told.adopt([flow(1, 1)]);
  const next = new ToldEntries({ channel: kernel.channel, half: carried, isHere: () => false, ours: () => undefined });
  next.whole([...kernel.entries.values()], 0);
  next.adopt([flow(1, 1)]);
  next.abandon([flow(1, 1)]);
  assert.deepEqual(kernel.lines, []);
});
