export { judge } from './judge.ts';
export { type ProbePorts, probe } from './prober.ts';
export { judgeRealServer, type RealServerFacts } from './real-server.ts';
export type * from './types.ts';
