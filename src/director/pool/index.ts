export { poolConfig, poolConfigs } from './config.ts';
export { describeBecause, describeDecision, levelOf } from './describe.ts';
export { begin, deadline, step } from './machine.ts';
export { checkName, serverKey, serviceKey } from './names.ts';
export { notificationOf, type PoolNotification } from './notify.ts';
export { isNews } from './servers.ts';
export type * from './types.ts';
export { crosses, type InstanceView, matchesOf, serversOf, servicesOf, sorryServes, syncOf, widest } from './wanted.ts';
