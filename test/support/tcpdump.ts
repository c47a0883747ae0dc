import { readFileSync } from 'node:fs';

/** Why captures are not possible here, for a test's `skip`: tcpdump insists on setting its groups, which the user namespace of an ordinary user forbids. */
export const withoutTcpdump: false | string =
  readFileSync('/proc/self/setgroups', 'utf8').trim() === 'allow' ? false : 'tcpdump needs root: it sets its groups';
