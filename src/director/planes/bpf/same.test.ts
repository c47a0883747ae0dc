import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IpAddress } from '../../../base/index.ts';
import type { WantedService } from '../../types.ts';
import { sameService } from './same.ts';

const address = '10.0.0.2' as IpAddress;
const service = (weight?: number): WantedService => ({
  key: 'tcp 10.0.0.1:80',
  match: { by: 'address', protocol: 'tcp', ranges: [{ from: address, to: address }], port: 80 },
  scheduler: 'wrr',
  flags: [],
  onePacket: false,
  servers: [],
  ...(weight === undefined ? {} : { away: [{ key: '10.0.0.2:80', address, weight }] }),
});
test('who is away, and with what weight, is part of a service: its ring is another', () => {
  assert.ok(sameService(service(), service()));
  assert.ok(sameService(service(1), service(1)));
  assert.ok(!sameService(service(), service(1)));
  assert.ok(!sameService(service(1), service(2)));
});
