import assert from 'node:assert/strict';
import { test } from 'node:test';
import { syncFindings } from './findings.ts';

const found = (threshold: string | undefined, refresh: string | undefined): string[] =>
  syncFindings((name) => (name.endsWith('threshold') ? threshold : refresh)).map((f) => f.text.en);

test('news of connections by packets is a finding with the command that ends it; by time it is none', () => {
  assert.match(
    found('3\t50', '0')[0] ?? '',
    /^net\.ipv4\.vs\.sync_threshold is 3 50, .*\(sysctl net\.ipv4\.vs\.sync_threshold="3 0" net\.ipv4\.vs\.sync_refresh_period=10\)$/,
  );
  assert.equal(found('3\t50', '10').length, 1, 'both must have come');
  assert.equal(found('3\t0', '0').length, 1, 'the third packet and no other');
  assert.deepEqual(found('3\t0', '10'), []);
  assert.deepEqual(found('0\t0', '5'), []);
  assert.deepEqual(found(undefined, undefined), [], 'this kernel has no IPVS');
});
