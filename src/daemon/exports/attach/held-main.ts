/**
 * `DEVICE`: prints `held` or `free`. A process of its own, as device-main.ts is, and of two small files: it is started whenever
 * a device may go, and must not take a second to load what it has no use for.
 */
import { isHeldExclusively } from './exclusive.ts';

process.stdout.write(isHeldExclusively(process.argv[2] ?? '') ? 'held' : 'free');
