import type { Rate } from '../token-bucket.js';

/** The parameters of {@link PubSub}. Times are milliseconds. */
export interface PubSubOptions {
  /** Links that a subscriber of a topic tries to have (the active view of HyParView). */
  readonly links: number;
  /** The most links; beyond them it takes nobody, but for who has none. */
  readonly maxLinks: number;
  /** Other subscribers that are remembered for when a link breaks (the passive view). */
  readonly passive: number;
  /** Nodes closest to the topic that are told of a subscription, and asked for others. */
  readonly rendezvous: number;
  /** How long a subscription record is good for. */
  readonly recordMs: number;
  /** A record that was taken is renewed after this, give or take a fifth. */
  readonly renewMs: number;
  /** A record that was not in the sample is offered again after this. */
  readonly retryMs: number;
  /** IDs for lazy links are collected for so long. */
  readonly haveMs: number;
  /** A publication that was heard of and did not come within this is asked for. */
  readonly graftMs: number;
  /** A link over which nothing came for so long is tried. */
  readonly keepMs: number;
  /** How often links are looked after. */
  readonly tickMs: number;
  /** For one exchange. */
  readonly callMs: number;
  /** Publications that are older are refused. */
  readonly maxAgeMs: number;
  /** How far a publication's time may be ahead of ours. */
  readonly maxAheadMs: number;
  /** How long publications are kept for those that missed them. */
  readonly cacheMs: number;
  /** The most bytes of memory for them. */
  readonly cacheBytes: number;
  /** The most IDs that are remembered in `maxAgeMs + maxAheadMs`; beyond them nothing is taken. */
  readonly seen: number;
  /** The most topics that a node subscribes to. */
  readonly topics: number;
  /** Requests of one peer. */
  readonly perPeer: Rate;
  /** New publications of one publisher, by whatever way they come. */
  readonly perPublisher: Rate;
  /**
   * New publications of one topic, of all publishers together: a topic that is flooded by many must
   * not use up what is remembered for all topics.
   */
  readonly perTopic: Rate;
  /** Exchanges under way with one peer; what is beyond goes the lazy way. */
  readonly inFlight: number;
  /** The share of bits beyond which a Bloom filter says nothing, 0 to 1. */
  readonly maxFill: number;
  /** Clients without addresses that are served. */
  readonly clients: number;
  /** Topics that are followed for clients only. */
  readonly relayed: number;
  /** Nodes that a client without addresses gets a topic from. */
  readonly attachments: number;
  /** How long a client's request is held when there is nothing for it. */
  readonly pullMs: number;
  /** Nodes that a publication of a node that does not subscribe enters by. */
  readonly entries: number;
}

const MINUTE = 60_000;

/** See docs/decisions/0013-pubsub.md for where the values come from. */
export const defaultPubSubOptions: PubSubOptions = {
  links: 4,
  maxLinks: 6,
  passive: 30,
  rendezvous: 5,
  recordMs: 15 * MINUTE,
  renewMs: 6 * MINUTE,
  retryMs: 30 * MINUTE,
  haveMs: 500,
  graftMs: 500,
  keepMs: 30_000,
  tickMs: 5_000,
  callMs: 4_000,
  maxAgeMs: 2 * MINUTE,
  maxAheadMs: MINUTE,
  cacheMs: MINUTE,
  cacheBytes: 16 * 1024 * 1024,
  seen: 100_000,
  topics: 256,
  perPeer: { perSecond: 100, burst: 500 },
  perPublisher: { perSecond: 50, burst: 250 },
  perTopic: { perSecond: 150, burst: 1000 },
  inFlight: 16,
  maxFill: 0.5,
  clients: 256,
  relayed: 64,
  attachments: 3,
  pullMs: 10_000,
  entries: 3,
};
