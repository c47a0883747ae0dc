export { LinuxNetwork, openNetwork } from './network.ts';
