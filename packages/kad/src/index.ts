export { KadError, messageOf, type KadErrorCode } from './errors.js';
export { silentLogger, type Logger } from './logger.js';
export { systemClock, type Clock } from './clock.js';
export { randomFraction, systemRandom, type Random } from './random.js';
export { sha256 } from './sha256.js';
export {
  ID_BITS,
  bucketIndex,
  distance,
  isNodeId,
  nodeIdOf,
  randomIdInBucket,
  type NodeId,
} from './node-id.js';
export { Identity, verifySignature } from './identity.js';
export { loadIdentity, saveIdentity } from './identity-file.js';
export {
  MAX_DIFFICULTY,
  PROOF_OF_WORK_LABEL,
  chanceOfSolution,
  difficultyOf,
  expectedAttempts,
  meetsDifficulty,
} from './proof-of-work.js';
export {
  MAX_MINING_DIFFICULTY,
  mineIdentity,
  type MinedIdentity,
  type MinerOptions,
  type MiningProgress,
} from './identity-miner.js';
export { formatAddress, parseAddress, type Address } from './address.js';
export {
  MAX_ADDRESSES,
  PROTOCOL_VERSION,
  parseContact,
  signContact,
  type Contact,
} from './contact.js';
export {
  createTlsCredentials,
  identityOfCertificate,
  type PeerIdentity,
  type TlsCredentials,
} from './certificate.js';
export { dialTls, peerIdentityOf, type DialOptions } from './tls.js';
export {
  MAX_MESSAGE_SIZE,
  MAX_SKEW_MS,
  openEnvelope,
  sealEnvelope,
  type Envelope,
  type Expectation,
} from './envelope.js';
export { RemoteError } from './json-rpc.js';
export type { ExchangeOptions, MessageHandler, Remote, Transport } from './transport.js';
export { MemoryNetwork, MemoryTransport } from './memory-transport.js';
export { HttpsTransport, RPC_PATH, type HttpsTransportOptions } from './https-transport.js';
export { KBucket, type BucketEntry } from './k-bucket.js';
export { RoutingTable } from './routing-table.js';
export {
  iterativeLookup,
  type LookupAnswer,
  type LookupOptions,
  type LookupResult,
} from './lookup.js';
export {
  DEFAULT_VALUE_BYTES,
  MAX_VALUE_SIZE,
  MemoryValueStore,
  type StoredValue,
  type ValueStore,
} from './value-store.js';
export { LmdbValueStore } from './lmdb-value-store.js';
export type { MethodContext, MethodHandler } from './rpc.js';
export {
  KademliaNode,
  defaultKademliaOptions,
  type KademliaNodeParts,
  type KademliaOptions,
} from './kademlia-node.js';
