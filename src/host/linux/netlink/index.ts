export { linuxNetlink } from './channel.ts';
export { LinuxNetwork, openNetwork } from './network.ts';
