export { Decapsulator, type DecapsulatorWanted } from './decapsulator.ts';
export {
  describeRealServerStep,
  REAL_SERVER_SYSCTLS,
  type RealServerFound,
  type RealServerStep,
  type RealServerWanted,
  realServerPlan,
  realServerScript,
} from './plan.ts';
