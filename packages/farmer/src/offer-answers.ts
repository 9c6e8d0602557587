import {
  type Clock,
  type Logger,
  type Mailbox,
  type NodeId,
  type PubSub,
  type Random,
  type ReceivedPublication,
  TokenBucket,
  messageOf,
  randomFraction,
  sha256,
  utf8,
} from '@granary/kad';
import {
  type FarmerTerms,
  OFFERS_TOPIC,
  type Offer,
  encodeOfferAnswer,
  parseOffer,
} from '@granary/protocol';
import type { Admission } from './admission.js';

/** What {@link OfferAnswers} works with. */
export interface OfferAnswersParts {
  readonly nodeId: NodeId;
  readonly pubsub: PubSub;
  readonly mailbox: Mailbox;
  readonly admission: Admission;
  readonly terms: () => FarmerTerms;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Answers in the long run and at once: more offers than that are left to other farmers. */
const ANSWERS = { perSecond: 5, burst: 50 };
/** Farmers do not answer all at the same moment, in milliseconds. */
const JITTER_MS = 150;
/** A subscription that failed is tried again after this, in milliseconds. */
const RETRY_MS = 30_000;

/**
 * Whether a farmer is one of the share that an offer asks: the hash of both their IDs, as a fraction
 * of all hashes, is below the share. It depends on the offer, so that no farmer is left out for long.
 */
export function isAsked(offer: Pick<Offer, 'id' | 'share'>, farmer: NodeId): boolean {
  const hash = sha256(utf8(`${offer.id}${farmer}`));
  const view = new DataView(hash.buffer, hash.byteOffset, hash.byteLength);
  return view.getUint32(0) / 2 ** 32 < offer.share;
}

/** Whether a farmer's terms suit an offer. */
export function suits(offer: Offer, terms: FarmerTerms): boolean {
  const within = (price: string, most: string | null) =>
    most === null || BigInt(price) <= BigInt(most);
  return (
    !terms.leaving &&
    terms.freeBytes >= offer.shardSize &&
    terms.maxShardSize >= offer.shardSize &&
    terms.maxDurationMs >= offer.durationMs &&
    within(terms.storagePrice, offer.maxStoragePrice) &&
    within(terms.egressPrice, offer.maxEgressPrice)
  );
}

/** Hears what renters want to store, and writes to those whom this farmer's terms suit. */
export class OfferAnswers {
  private readonly stopping = new AbortController();
  private readonly rate: TokenBucket;
  private timer: unknown;

  constructor(private readonly parts: OfferAnswersParts) {
    this.rate = new TokenBucket(ANSWERS, parts.clock.now());
  }

  /** Begin to listen; tried again while it fails. */
  start(): void {
    const { pubsub, clock, logger } = this.parts;
    const { signal } = this.stopping;
    pubsub
      .subscribe(OFFERS_TOPIC, {
        handler: (publication) => this.hear(publication),
        queue: 64,
        signal,
      })
      .catch((error: unknown) => {
        if (signal.aborted) return;
        logger.warn({ error: messageOf(error) }, 'offers of renters are not heard yet');
        this.timer = clock.setTimeout(() => this.start(), RETRY_MS);
      });
  }

  stop(): void {
    this.stopping.abort();
    this.parts.clock.clearTimeout(this.timer);
  }

  private async hear({ payload, publisher }: ReceivedPublication): Promise<void> {
    const { admission, mailbox, terms, clock, random, logger, nodeId } = this.parts;
    try {
      const offer = parseOffer(payload, publisher, clock.now());
      admission.check(offer.renter);
      const mine = terms();
      if (!isAsked(offer, nodeId) || !suits(offer, mine) || !this.rate.take(clock.now())) return;
      const delay = JITTER_MS * randomFraction(random);
      await new Promise<void>((resolve) => void clock.setTimeout(resolve, delay));
      if (this.stopping.signal.aborted) return;
      const text = encodeOfferAnswer({ offer: offer.id, terms: mine });
      const { signal } = this.stopping;
      await mailbox.send(offer.renter, text, offer.relays, { signal });
      logger.debug({ renter: offer.renter, offer: offer.id }, 'answered an offer');
    } catch (error) {
      logger.debug({ renter: publisher, error: messageOf(error) }, 'an offer was not answered');
    }
  }
}
