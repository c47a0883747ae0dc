import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { survivesRestarts } from '../support/attach.ts';

spawnSync('modprobe', ['nbd', 'nbds_max=0']);

test('ext4 on a device of the nbd module survives the death and the restart of its server', (t) =>
  survivesRestarts(t, 'kernel', 6));
