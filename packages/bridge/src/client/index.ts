export {
  type BridgeClient,
  type BridgeClientOptions,
  type BridgeCredentials,
  answerOf,
  createBridgeClient,
} from './bridge-client.js';
export { BridgeProblem, type ProblemDocument } from './bridge-problem.js';
export type { Bytes } from './bytes.js';
export type { components, operations, paths } from './generated/api-types.js';
