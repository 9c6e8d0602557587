export * from './index.browser.js';
// What needs Node: servers, TLS, files, threads.
export { loadIdentity, saveIdentity } from './identity-file.js';
export { makeDirectory } from './make-directory.js';
export {
  MAX_MINING_DIFFICULTY,
  mineIdentity,
  type MinedIdentity,
  type MinerOptions,
  type MiningProgress,
} from './identity-miner.js';
export {
  createTlsCredentials,
  identityOfCertificate,
  type PeerIdentity,
  type TlsCredentials,
} from './certificate.js';
export type { DialLimits, Dialer } from './dialer.js';
export { directDialer } from './direct-dialer.js';
export { leadLargeMessages } from './large-messages.js';
export { sendLargeMessage } from './send-large-message.js';
export { dialTls, peerIdentityOf, type DialOptions } from './tls.js';
export { HttpsTransport, RPC_PATH, type HttpsTransportOptions } from './https-transport.js';
export { isUpgradeRouted, routeUpgrades, type UpgradeHandler } from './upgrades.js';
export { WebSocketListener, type ListenerSettings, type OwnServer } from './websocket-listener.js';
export { clientOffer, clientPasswordOf } from './webrtc-sdp.js';
export { LmdbValueStore } from './lmdb-value-store.js';
export { Metrics } from './plugins/metrics.js';
export {
  Census,
  Churn,
  Collusion,
  KAD_SHAPE,
  KING_MEAN_MS,
  KING_MEDIAN_MS,
  SeededRandom,
  SimulatedChannel,
  SimulatedNetwork,
  Simulation,
  VirtualClock,
  grindIdentities,
  kingLatency,
  warmStart,
  weibullSessions,
  type AttackKind,
  type ChurnOptions,
  type NetworkConditions,
  type SessionLengths,
  type SimulatedHost,
  type SimulatedNodeOptions,
  type SimulationOptions,
} from './simulator/index.js';
export {
  AttenuatedFilter,
  BloomFilter,
  FILTER_LEVELS,
  MAX_PAYLOAD_BYTES,
  MAX_TOPIC_BYTES,
  PubSub,
  Quasar,
  Subscription,
  checkPublication,
  defaultBloomShape,
  defaultPubSubOptions,
  defaultQuasarOptions,
  hashTopic,
  makePublication,
  parsePublication,
  type BloomShape,
  type Publication,
  type PublicationHandler,
  type PublicationWire,
  type PubSubOptions,
  type PubSubStats,
  type QuasarOptions,
  type ReceivedPublication,
  type SubscribeOptions,
  type TopicHash,
} from './pubsub/index.js';
