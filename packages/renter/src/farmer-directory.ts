import {
  type Clock,
  type Contact,
  type Logger,
  type NodeId,
  type Random,
  messageOf,
} from '@granary/kad';
import { FARMER_TERMS_METHOD, parseFarmerTerms, toHex } from '@granary/protocol';
import { all } from './all.js';
import { RenterError } from './errors.js';
import type { OfferNeeds, OfferRound } from './offer-round.js';
import type { NetworkAccess } from './network-access.js';
import type { FarmerRecord } from './records.js';
import type { RenterStore } from './renter-store.js';
import {
  type ReputationSettings,
  afterContact,
  afterTransfer,
  defaultReputationSettings,
  newReputation,
} from './reputation.js';

/** How long what a farmer said of its terms is believed, in milliseconds. */
const FRESH_MS = 60_000;
/** How long another process's change of what is known may go unseen, in milliseconds. */
const READ_MS = 5_000;
/** Questions for terms under way at one time. */
const PARALLEL = 16;
/** Random lookups that find farmers beyond our own neighbourhood. */
const WALKS = 4;
const TERMS_TIMEOUT_MS = 5_000;

/** How a directory makes offers. */
export interface OfferMaking {
  readonly round: OfferRound;
  readonly needs: () => OfferNeeds;
  /** `auto`: where the network is larger than what we see of it. */
  readonly when: 'auto' | 'always' | 'never';
}

/** The farmers that a renter knows: where they are, what they offer, how they behaved. */
export class FarmerDirectory {
  private refreshed = 0;
  private refreshing: Promise<void> | undefined;
  private readonly closing = new AbortController();
  private readonly searches = new Map<NodeId, Promise<Contact>>();
  /** What was read of everyone: there may be very many, and each segment of an upload asks. */
  private read: { readonly farmers: readonly FarmerRecord[]; readonly timer: unknown } | undefined;
  /** Grows with every change that we make. */
  private changes = 0;

  constructor(
    private readonly store: RenterStore,
    private readonly network: NetworkAccess,
    private readonly clock: Clock,
    private readonly random: Random,
    private readonly logger: Logger,
    private readonly offers: OfferMaking,
    private readonly tuning: ReputationSettings = defaultReputationSettings,
  ) {}

  /** Farmers that answered lately. The network is asked when what we know is old. */
  async available(options: { refresh?: boolean } = {}): Promise<FarmerRecord[]> {
    if (options.refresh === true || this.clock.now() - this.refreshed > FRESH_MS) {
      await (this.refreshing ??= this.refresh().finally(() => (this.refreshing = undefined)));
    }
    return (await this.lately()).filter(({ seen }) => seen >= this.refreshed);
  }

  /** Everyone ever met, as it was not long ago. */
  private async lately(): Promise<readonly FarmerRecord[]> {
    if (this.read !== undefined) return this.read.farmers;
    const { changes } = this;
    const farmers = await this.known();
    if (changes === this.changes && !this.closing.signal.aborted) {
      this.forget();
      const timer = this.clock.setTimeout(() => (this.read = undefined), READ_MS);
      this.read = { farmers, timer };
    }
    return farmers;
  }

  private forget(): void {
    this.clock.clearTimeout(this.read?.timer);
    this.read = undefined;
  }

  private async changeRecord(
    nodeId: NodeId,
    change: (known: FarmerRecord | undefined) => FarmerRecord | undefined,
  ): Promise<void> {
    try {
      await this.store.changeFarmer(nodeId, change);
    } finally {
      this.changes += 1;
      this.forget();
    }
  }

  /** Everyone ever met. */
  known(): Promise<FarmerRecord[]> {
    return all(this.store.farmers());
  }

  /**
   * How to reach a farmer.
   *
   * @param lookAgain - what we know did not work: ask the DHT for a newer contact
   * @throws RenterError RENTER_TRANSFER when the DHT does not know it.
   */
  async contactOf(nodeId: NodeId, lookAgain = false): Promise<Contact> {
    const known = await this.store.farmer(nodeId);
    if (known !== undefined && !lookAgain) return known.contact;
    let search = this.searches.get(nodeId);
    if (search === undefined) {
      search = this.search(nodeId).finally(() => this.searches.delete(nodeId));
      this.searches.set(nodeId, search);
    }
    return search;
  }

  record(nodeId: NodeId): Promise<FarmerRecord | undefined> {
    return this.store.farmer(nodeId);
  }

  /** What is known of some farmers, by ID. */
  records(nodeIds: readonly NodeId[]): Promise<ReadonlyMap<NodeId, FarmerRecord>> {
    return this.store.farmersNamed(nodeIds);
  }

  /** Take note of how a transfer with a farmer went. */
  async report(nodeId: NodeId, success: boolean): Promise<void> {
    const known = await this.store.farmer(nodeId);
    if (known === undefined) return;
    // A success of a farmer that has had nothing else is no news, and need not reach the disk.
    if (success && known.failures === 0 && known.reputation.transfers.beta < 0.01) return;
    await this.change(nodeId, (record) => ({
      ...record,
      failures: success ? 0 : record.failures + 1,
      reputation: afterTransfer(record.reputation, success),
    }));
  }

  /** Change what is known of a farmer that was met. */
  async change(nodeId: NodeId, change: (record: FarmerRecord) => FarmerRecord): Promise<void> {
    await this.changeRecord(nodeId, (known) => known && change(known));
  }

  /**
   * See which of these farmers answer, and what their terms are now. Whoever does not is looked up
   * in the DHT once, in case it has moved.
   */
  async check(nodeIds: Iterable<NodeId>, signal: AbortSignal): Promise<void> {
    await this.network.join();
    const waiting = [...nodeIds];
    const ask = async () => {
      for (let nodeId = waiting.pop(); nodeId !== undefined; nodeId = waiting.pop()) {
        signal.throwIfAborted();
        await this.checkOne(nodeId);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, ask));
  }

  private async checkOne(nodeId: NodeId): Promise<void> {
    const known = await this.store.farmer(nodeId);
    if (known !== undefined && (await this.askTerms(known.contact))) return;
    if (!(await this.askWhereItMoved(nodeId, known))) await this.noteSilence(nodeId);
  }

  /**
   * Ask all of these farmers at one time whether they are there, and tell of each as soon as it has
   * answered, or has not. One that does not answer is looked for in the DHT, as long as time is left, and is
   * told of again when it answers elsewhere.
   *
   * @param withinMs - the longest that all of it takes, once the network was joined
   */
  async poll(
    nodeIds: Iterable<NodeId>,
    withinMs: number,
    onAnswer: (nodeId: NodeId, answered: boolean) => void,
    signal: AbortSignal,
  ): Promise<void> {
    await this.network.join();
    const over = new AbortController();
    const timer = this.clock.setTimeout(() => over.abort(), withinMs);
    const ended = new Promise<void>((resolve) => {
      for (const one of [signal, over.signal]) {
        if (one.aborted) resolve();
        one.addEventListener('abort', () => resolve(), { once: true });
      }
    });
    const tell = (nodeId: NodeId, answered: boolean) => {
      if (!over.signal.aborted && !signal.aborted) onAnswer(nodeId, answered);
    };
    const ask = async (nodeId: NodeId) => {
      const known = await this.store.farmer(nodeId);
      if (known !== undefined && (await this.askTerms(known.contact))) return tell(nodeId, true);
      await this.noteSilence(nodeId);
      tell(nodeId, false);
      if (await this.askWhereItMoved(nodeId, known)) tell(nodeId, true);
    };
    try {
      const work = Promise.all([...nodeIds].map(ask));
      await Promise.race([work, ended]);
      signal.throwIfAborted();
    } finally {
      this.clock.clearTimeout(timer);
      over.abort();
    }
  }

  /** Look a farmer up that was silent where it was, and ask it there if that is elsewhere. */
  private async askWhereItMoved(nodeId: NodeId, known: FarmerRecord | undefined): Promise<boolean> {
    const found = await this.search(nodeId).catch(() => undefined);
    const moved = found !== undefined && found.signature !== known?.contact.signature;
    return moved && (await this.askTerms(found));
  }

  private async noteSilence(nodeId: NodeId): Promise<void> {
    const now = this.clock.now();
    await this.change(nodeId, (record) => ({
      ...record,
      reputation: afterContact(record.reputation, false, now, this.tuning),
    }));
  }

  private async search(nodeId: NodeId): Promise<Contact> {
    await this.network.join();
    const { contacts } = await this.network.node.lookup(nodeId);
    const contact = contacts.find((found) => found.nodeId === nodeId);
    if (contact === undefined) {
      throw new RenterError('RENTER_TRANSFER', `farmer ${nodeId} is not in the network now`);
    }
    await this.change(nodeId, (record) => ({ ...record, contact }));
    return contact;
  }

  private async refresh(): Promise<void> {
    const begun = this.clock.now();
    const justJoined = await this.network.join();
    const { node } = this.network;
    const takers = this.makeOffer();
    // Where there are fewer than k nodes, joining has met all.
    const metAll = justJoined && node.routingTable.size < node.options.k;
    const walks = metAll ? 0 : WALKS;
    await Promise.all(Array.from({ length: walks }, () => node.lookup(toHex(this.random(32)))));
    await this.askAll(node.contacts());
    const answered = await takers;
    const met = await this.records(answered.map(({ nodeId }) => nodeId));
    // Who answered an offer is asked like the others: that shows how far away it is, too.
    await this.askAll(answered.filter(({ nodeId }) => (met.get(nodeId)?.seen ?? 0) < begun));
    this.refreshed = begun;
  }

  private async askAll(waiting: Contact[]): Promise<void> {
    const ask = async () => {
      for (let contact = waiting.pop(); contact !== undefined; contact = waiting.pop()) {
        await this.askTerms(contact);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, ask));
  }

  /**
   * Farmers that answer an offer. Never rejects.
   *
   * @param forced - make one even where it is not worth it
   */
  async makeOffer(forced = false): Promise<Contact[]> {
    const { round, needs, when } = this.offers;
    const { node } = this.network;
    // Of a network below k nodes everybody is in the table already.
    const large = node.routingTable.size >= node.options.k;
    if (!forced && (when === 'never' || (when === 'auto' && !large))) return [];
    try {
      await this.network.join();
      const takers = await round.ask(needs(), this.closing.signal);
      return takers.map(({ contact }) => contact);
    } catch (error) {
      this.logger.debug({ error: messageOf(error) }, 'no offer could be made');
      return [];
    }
  }

  /** Make no more offers, and fetch no more letters. */
  close(): void {
    this.closing.abort();
    this.forget();
    this.offers.round.close();
  }

  private async askTerms(contact: Contact): Promise<boolean> {
    const begun = this.clock.now();
    try {
      const options = { timeoutMs: TERMS_TIMEOUT_MS };
      const answer = await this.network.node.call(contact, FARMER_TERMS_METHOD, {}, options);
      const seen = this.clock.now();
      const terms = parseFarmerTerms(answer);
      const latencyMs = seen - begun;
      await this.changeRecord(contact.nodeId, (known) => ({
        contact,
        terms,
        latencyMs,
        seen,
        failures: known?.failures ?? 0,
        reputation: afterContact(
          known?.reputation ?? newReputation(seen, this.tuning),
          true,
          seen,
          this.tuning,
        ),
      }));
      return true;
    } catch (error) {
      // Not every node is a farmer, and not every farmer is up.
      this.logger.debug({ node: contact.nodeId, error: messageOf(error) }, 'no terms');
      return false;
    }
  }
}
