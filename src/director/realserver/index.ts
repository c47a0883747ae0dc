export { RealServerAgent, type RealServerOptions, type RealServerPorts } from './agent.ts';
export { Decapsulator, type DecapsulatorWanted } from './decapsulator.ts';
export {
  describeRealServerStep,
  type RealServerFound,
  type RealServerLedger,
  type RealServerStep,
  type RealServerWanted,
  realServerPlan,
  realServerScript,
  realServerUndo,
  type Tunnel,
} from './plan.ts';
