export { PubSub, type PubSubStats } from './pubsub.js';
export { defaultPubSubOptions, type PubSubOptions } from './pubsub-options.js';
export {
  Subscription,
  type PublicationHandler,
  type ReceivedPublication,
  type SubscribeOptions,
} from './subscription.js';
export { MAX_TOPIC_BYTES, hashTopic, type TopicHash } from './topic.js';
export {
  MAX_PAYLOAD_BYTES,
  checkPublication,
  makePublication,
  parsePublication,
  type Publication,
  type PublicationWire,
} from './publication.js';
export { BloomFilter, defaultBloomShape, type BloomShape } from './bloom-filter.js';
export { AttenuatedFilter, FILTER_LEVELS } from './attenuated-filter.js';
export { Quasar, defaultQuasarOptions, type QuasarOptions } from './quasar.js';
