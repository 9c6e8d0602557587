export { Census } from './census.js';
export { Churn, type ChurnOptions } from './churn.js';
export { Collusion, type AttackKind } from './collusion.js';
export { grindIdentities } from './grinding.js';
export { KING_MEAN_MS, KING_MEDIAN_MS, kingLatency } from './latency-model.js';
export { SeededRandom } from './seeded-random.js';
export { KAD_SHAPE, type SessionLengths, weibullSessions } from './session-lengths.js';
export { SimulatedChannel } from './simulated-channel.js';
export {
  SimulatedNetwork,
  type NetworkConditions,
  type SimulatedHost,
} from './simulated-network.js';
export { Simulation, type SimulatedNodeOptions, type SimulationOptions } from './simulation.js';
export { VirtualClock } from './virtual-clock.js';
export { warmStart } from './warm-start.js';
