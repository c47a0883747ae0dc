export { EXIT } from './command/exit-codes.ts';
export { pidPaths } from './command/pidfile.ts';
export { runKeepalived } from './keepalived.ts';
