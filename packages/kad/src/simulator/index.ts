export { SeededRandom } from './seeded-random.js';
export { SimulatedChannel } from './simulated-channel.js';
export {
  SimulatedNetwork,
  type NetworkConditions,
  type SimulatedHost,
} from './simulated-network.js';
export { Simulation, type SimulatedNodeOptions, type SimulationOptions } from './simulation.js';
export { VirtualClock } from './virtual-clock.js';
