export { type Takes, takesWords } from './options.ts';
export { type AdjustChange, type AdjustPlan, planAdjust } from './plan.ts';
