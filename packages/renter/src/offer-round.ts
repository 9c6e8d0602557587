import {
  type Clock,
  type Contact,
  type KademliaNode,
  type Letter,
  type Logger,
  type Mailbox,
  type NodeId,
  type PubSub,
  type Random,
  estimateNodes,
  messageOf,
  randomFraction,
  toHex,
} from '@granary/kad';
import {
  type FarmerTerms,
  MAX_RELAYS,
  OFFERS_TOPIC,
  encodeOffer,
  parseOfferAnswer,
} from '@granary/protocol';

/** What a renter wants of farmers. Sizes in bytes, times in milliseconds. */
export interface OfferNeeds {
  readonly shardSize: number;
  readonly durationMs: number;
  readonly maxStoragePrice: bigint | undefined;
  readonly maxEgressPrice: bigint | undefined;
}

/** A farmer that wrote that an offer suits it. */
export interface OfferTaker {
  readonly contact: Contact;
  readonly terms: FarmerTerms;
}

/** What {@link OfferRound} works with. */
export interface OfferRoundParts {
  readonly node: KademliaNode;
  readonly pubsub: PubSub;
  readonly mailbox: Mailbox;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Farmers that are asked to answer, about. */
const WANTED = 96;
/** How long an offer is good for, in milliseconds. */
const GOOD_FOR_MS = 30_000;
/** The longest that answers are waited for, and for how long after the last one. */
const WAIT_MS = 1500;
const QUIET_MS = 300;

/** Publishes what a renter wants to store, and collects the farmers that write that it suits them. */
export class OfferRound {
  private readonly closing = new AbortController();
  private relays: Promise<Contact[]> | undefined;
  private readonly waiting = new Map<string, (taker: OfferTaker) => void>();

  constructor(private readonly parts: OfferRoundParts) {}

  /** Ask once. Nobody may answer: the network may be small, or its farmers older. */
  async ask(needs: OfferNeeds, signal: AbortSignal): Promise<OfferTaker[]> {
    const { node, pubsub, clock, random, logger } = this.parts;
    const relays = await this.openBoxes();
    // Who has no address and nobody to keep letters for it gets no answers.
    if (relays.length === 0) return [];
    const own = node.identity.nodeId;
    const nodes = estimateNodes(own, node.routingTable.closest(own, node.options.k));
    const id = toHex(random(16));
    const takers = new Map<NodeId, OfferTaker>();
    let last = 0;
    this.waiting.set(id, (taker) => {
      if (takers.size >= 2 * WANTED) return;
      takers.set(taker.contact.nodeId, taker);
      last = clock.now();
    });
    try {
      const offer = encodeOffer({
        version: 1,
        id,
        renter: own,
        shardSize: needs.shardSize,
        durationMs: needs.durationMs,
        maxStoragePrice: needs.maxStoragePrice?.toString() ?? null,
        maxEgressPrice: needs.maxEgressPrice?.toString() ?? null,
        share: Math.min(1, WANTED / nodes),
        expires: clock.now() + GOOD_FOR_MS,
        relays,
      });
      const { reached } = await pubsub.publish(OFFERS_TOPIC, offer, { signal });
      const begun = clock.now();
      const over = () =>
        signal.aborted ||
        reached === 0 ||
        takers.size >= WANTED ||
        clock.now() - begun >= WAIT_MS ||
        (takers.size > 0 && clock.now() - last >= QUIET_MS);
      while (!over()) {
        await new Promise<void>((resolve) => void clock.setTimeout(resolve, 50));
      }
    } catch (error) {
      logger.debug({ error: messageOf(error) }, 'an offer was not published');
    } finally {
      this.waiting.delete(id);
    }
    logger.debug({ offer: id, nodes: Math.round(nodes), answers: takers.size }, 'made an offer');
    return [...takers.values()];
  }

  close(): void {
    this.closing.abort();
  }

  /** Nodes that take our letters: ourselves when we have an address, else some that we know. */
  private async openBoxes(): Promise<Contact[]> {
    const open = await (this.relays ??= this.chooseRelays());
    if (open.length === 0) this.relays = undefined;
    return open;
  }

  private async chooseRelays(): Promise<Contact[]> {
    const { node, mailbox, random } = this.parts;
    const read = (letter: Letter) => this.read(letter);
    const { signal } = this.closing;
    if (node.contact.addresses.length > 0) {
      await mailbox.receive(read, [], signal);
      return [node.contact];
    }
    const known = node.contacts();
    const chosen = new Set<Contact>();
    while (chosen.size < Math.min(MAX_RELAYS, known.length)) {
      chosen.add(known[Math.floor(randomFraction(random) * known.length)]!);
    }
    return mailbox.receive(read, [...chosen], signal);
  }

  private read({ from, text }: Letter): void {
    const { offer, terms } = parseOfferAnswer(text);
    this.waiting.get(offer)?.({ contact: from, terms });
  }
}
