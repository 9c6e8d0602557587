// What runs in browsers and in Node alike: the whole public face in a browser.
export { KadError, messageOf, type KadErrorCode } from './errors.js';
export { silentLogger, type Logger } from './logger.js';
export { systemClock, type Clock } from './clock.js';
export { pause } from './pause.js';
export { randomFraction, systemRandom, type Random } from './random.js';
export { copyBytes } from '#kad/platform';
export { sha256, sha256Each } from './sha256.js';
export { exposedGc, type CollectGarbage } from './exposed-gc.js';
export type { LargeMessages } from './large-messages.js';
export { ShortLivedBuffers } from './short-lived-buffers.js';
export { allowManyListeners } from './listeners.js';
export { concatBytes, fromBase64, fromHex, fromUtf8, toBase64, toHex, utf8 } from './bytes.js';
export {
  ID_BITS,
  bucketIndex,
  compareDistance,
  distance,
  isNodeId,
  nodeIdOf,
  randomIdInBucket,
  type NodeId,
} from './node-id.js';
export { Identity, recoverPublicKey, uncompressPublicKey, verifySignature } from './identity.js';
export {
  MAX_DIFFICULTY,
  PROOF_OF_WORK_LABEL,
  chanceOfSolution,
  difficultyOf,
  expectedAttempts,
  meetsDifficulty,
} from './proof-of-work.js';
export { formatAddress, parseAddress, type Address, type AddressScheme } from './address.js';
export {
  MAX_ADDRESSES,
  PROTOCOL_VERSION,
  parseContact,
  signContact,
  type Contact,
} from './contact.js';
export {
  MAX_MESSAGE_SIZE,
  MAX_SKEW_MS,
  openEnvelope,
  sealEnvelope,
  type Envelope,
  type Expectation,
} from './envelope.js';
export { RemoteError } from './json-rpc.js';
export type { ExchangeOptions, MessageHandler, Peer, Remote, Transport } from './transport.js';
export { MemoryNetwork, MemoryTransport } from './memory-transport.js';
export { WebSocketTransport, type WebSocketTransportOptions } from './websocket-transport.js';
export { defaultWebSocketLimits, type WebSocketLimits } from './websocket-limits.js';
export {
  WEBSOCKET_PATH,
  WEBSOCKET_SUBPROTOCOL,
  type DialSocketOptions,
  type MadeSocket,
  type MessageSocket,
  type SocketDialer,
  type SocketListener,
  type SocketProtocol,
} from './message-socket.js';
export { canDialSocket, dialSocket } from '#kad/websocket-dial';
export {
  proveAsAcceptor,
  proveAsDialer,
  type AcceptorProof,
  type DialerProof,
} from './socket-proof.js';
export type { SocketPurpose } from './websocket-handshake.js';
export { DataChannelSocket, type RawChannel } from './data-channel-socket.js';
export { CombinedTransport } from './combined-transport.js';
export {
  ConformanceError,
  transportConformance,
  type ConformanceCase,
  type ConformanceNetwork,
  type ConformanceNode,
} from './transport-conformance.js';
export { KBucket, type BucketEntry } from './k-bucket.js';
export { RoutingTable, type RoutingTableOptions } from './routing-table.js';
export {
  iterativeLookup,
  type LookupAnswer,
  type LookupObserver,
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
export type { MethodContext, MethodHandler, RequestMiddleware } from './dispatcher.js';
export type { Destination, IncomingRequest, RpcChannel, RpcHost, RpcReply } from './rpc-channel.js';
export { SignedRpc, type SignedRpcOptions } from './rpc.js';
export { addressGroup } from './address-group.js';
export { hiddenNetworkOf, type HiddenNetwork } from './hidden-host.js';
export {
  defaultKademliaOptions,
  plainKademliaOptions,
  proxiedKademliaOptions,
  type KademliaOptions,
} from './kademlia-options.js';
export { KademliaNode, type KademliaNodeParts } from './kademlia-node.js';
export type {
  CallMiddleware,
  ContactSource,
  LookupStart,
  OutgoingCall,
  Plugin,
  PluginHooks,
  PluginHost,
  RemovalReason,
} from './plugin.js';
export { LruMap } from './lru-map.js';
export { TokenBucket, type Rate } from './token-bucket.js';
export { ContentAddressing } from './plugins/content-addressing.js';
export { Departures } from './plugins/departures.js';
export { DownLists } from './plugins/down-lists.js';
export { ChurnFilter, type ChurnFilterOptions } from './plugins/churn-filter.js';
export { RateLimits, type RateLimitOptions } from './plugins/rate-limits.js';
export { ProofOfWorkFilter } from './plugins/proof-of-work-filter.js';
export { LookupTrace, type Trace, type TraceStep } from './plugins/lookup-trace.js';
export { EventLog } from './plugins/event-log.js';
export { PeerWatch, type PeerVitals, type PeerWatchOptions } from './plugins/peer-watch.js';
export { estimateNodes } from './network-size.js';
export { standardPlugins } from './plugins/standard-plugins.js';
export { Mailbox, type MailboxOptions } from './plugins/mailbox.js';
export { MAX_LETTER_LENGTH, parseLetter, writeLetter, type Letter } from './plugins/letter.js';
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
