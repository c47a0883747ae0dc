export { type CheckPorts, type RandomBytes, startCheckRunner } from './runner.ts';
