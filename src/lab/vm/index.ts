export { GuestProgram } from './guest-program.ts';
export { guestKernel } from './kernel.ts';
export { type Plug, VmSwitch } from './switch.ts';
export type { VmDefinition, VmNic, VmShare } from './types.ts';
export { Vm } from './vm.ts';
