import type { Bridge, MetadataStore } from '@granary/bridge';
import { type Clock, type Logger, type PeerWatch, messageOf } from '@granary/kad';
import type { RedundancyScheme } from '@granary/protocol';
import { type FarmerRecord, type Renter, explainReputation } from '@granary/renter';
import type { BridgeState, FarmerRow, Money, ObjectsPage } from '@granary/web';
import { Cached } from './cached.js';
import type { DashboardSource } from './dashboard-source.js';
import { moneyView } from './money-view.js';
import { neighbourhoodView } from './neighbourhood-view.js';
import { type SurveyResult, pageOf, surveyObjects } from './object-survey.js';
import type { RequestTally } from './request-tally.js';

/** What a {@link BridgeSource} looks at. */
export interface BridgeSourceParts {
  readonly bridge: Pick<Bridge, 'url' | 'load'>;
  readonly renter: Renter;
  readonly metadata: MetadataStore;
  readonly tally: RequestTally;
  readonly watch: PeerWatch;
  readonly region: string;
  /** Redundancy of new objects. */
  readonly scheme: RedundancyScheme;
  /** Whether this process looks after what is stored. */
  readonly care: boolean;
  /** Whether names of buckets and objects are shown. */
  readonly names: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

const DAY = 24 * 3600 * 1000;
/** Somebody has looked lately. */
const LOOKED_MS = 10_000;
/** Between two looks at all objects, in milliseconds: while somebody looks, else, and by how long one takes. */
const SURVEY_MS = { watched: 10_000, unwatched: 600_000, share: 20 };
const BUCKETS_FRESH_MS = 15_000;
const FARMERS_FRESH_MS = 4_000;
const MONEY_FRESH_MS = 10_000;
const READY_FRESH_MS = 5_000;
const READY_TIMEOUT_MS = 2_000;
const MAX_BUCKETS = 50;
const MAX_USERS = 1000;
const MAX_FARMERS = 400;
/** Farmers that were not seen for this long are history. */
const FORGOTTEN_MS = 30 * DAY;

const NO_BUCKETS: BridgeState['buckets'] = { total: 0, more: false, users: 0, list: [] };
const NO_MONEY: Money = { direction: 'spent', accounts: [], days: [] };

/** Shows a bridge of this process. */
export class BridgeSource implements DashboardSource {
  readonly kind = 'bridge';
  private readonly stopping = new AbortController();
  private readonly buckets: Cached<BridgeState['buckets']>;
  private readonly farmers: Cached<readonly FarmerRecord[]>;
  private readonly money: Cached<Money>;
  private readonly database: Cached<boolean>;
  private result: SurveyResult | undefined;
  private surveying: Promise<void> = Promise.resolve();
  private timer: unknown;
  private lastLook = -Infinity;
  private lastPresence = '';
  private auditsBefore: readonly number[] | undefined;
  private sampledRounds = 0;

  constructor(private readonly parts: BridgeSourceParts) {
    const { clock, logger, metadata, renter } = parts;
    const failed = (error: unknown) => {
      if (this.stopping.signal.aborted) return;
      logger.debug({ error: messageOf(error) }, 'a figure for the dashboard could not be found');
    };
    this.buckets = new Cached(
      NO_BUCKETS,
      BUCKETS_FRESH_MS,
      clock,
      () => this.findBuckets(),
      failed,
    );
    const findFarmers = async () => {
      const found = await renter.farmers();
      // What was audited before this process began is not news.
      this.auditsBefore ??= auditsOf(found);
      return found;
    };
    this.farmers = new Cached<readonly FarmerRecord[]>(
      [],
      FARMERS_FRESH_MS,
      clock,
      findFarmers,
      failed,
    );
    void this.farmers.refresh();
    this.money = new Cached(NO_MONEY, MONEY_FRESH_MS, clock, () => this.sum(), failed);
    this.database = new Cached(
      true,
      READY_FRESH_MS,
      clock,
      () =>
        metadata.ping(AbortSignal.timeout(READY_TIMEOUT_MS)).then(
          () => true,
          () => false,
        ),
      failed,
    );
    // The renter joins when it is first needed; who looks at the network needs it.
    renter.join().catch(failed);
    this.surveyIn(1_000);
  }

  async state(): Promise<BridgeState> {
    const { bridge, renter, tally, watch, clock, region, scheme } = this.parts;
    const now = clock.now();
    const beginsToLook = now - this.lastLook > LOOKED_MS;
    this.lastLook = now;
    for (const cached of [this.buckets, this.farmers, this.money, this.database]) cached.get();
    if (beginsToLook) {
      await Promise.all([this.buckets.settled(), this.farmers.settled(), this.money.settled()]);
    }
    const neighbourhood = neighbourhoodView(renter.node, watch);
    this.surveyWhenItMatters(beginsToLook);
    const rows = this.farmerRows(now);
    return {
      kind: 'bridge',
      time: now,
      nodeId: renter.node.identity.nodeId,
      url: bridge.url,
      region,
      ready: { database: this.database.last, network: neighbourhood.known > 0 },
      scheme,
      requests: { ...bridge.load, ...tally.figures },
      buckets: this.buckets.last,
      survey: this.result?.survey ?? null,
      care: this.care(),
      farmers: { total: rows.length, list: rows.slice(0, MAX_FARMERS) },
      neighbourhood,
      money: this.money.last,
    };
  }

  sample(): readonly number[] {
    const { received, sent, total, failed } = this.parts.tally.figures;
    // Audits change with each round of care, also while nobody looks.
    const { rounds } = this.parts.renter.careStatus;
    if (rounds !== this.sampledRounds) void this.farmers.refresh();
    this.sampledRounds = rounds;
    const audits = auditsOf(this.farmers.last);
    const [passed, bad] = [0, 1].map((i) =>
      Math.max(0, audits[i]! - (this.auditsBefore?.[i] ?? 0)),
    );
    const survey = this.result?.survey;
    const endangered = survey === undefined ? 0 : survey.objects - survey.fine;
    const away = this.farmers.last.filter((one) => this.isAway(one)).length;
    return [
      ...[received, sent, total, failed, passed!, bad!],
      ...[survey?.objects ?? 0, endangered, away],
    ];
  }

  objects(page: number): ObjectsPage {
    return pageOf(this.result, page);
  }

  async close(): Promise<void> {
    this.stopping.abort(new Error('the dashboard is closing'));
    this.parts.clock.clearTimeout(this.timer);
    await this.surveying;
    await Promise.all(
      [this.buckets, this.farmers, this.money, this.database].map((cached) => cached.settled()),
    );
  }

  /** Who answers has changed, or somebody begins to look: how objects are may have changed, too. */
  private surveyWhenItMatters(beginsToLook: boolean): void {
    const presence = this.farmers.last
      .filter((farmer) => this.isAway(farmer))
      .map(({ contact }) => contact.nodeId)
      .join();
    const changed = presence !== this.lastPresence;
    this.lastPresence = presence;
    if (changed || beginsToLook) this.surveyIn(100);
  }

  private surveyIn(ms: number): void {
    const { clock } = this.parts;
    clock.clearTimeout(this.timer);
    if (this.stopping.signal.aborted) return;
    this.timer = clock.setTimeout(() => {
      this.surveying = this.surveying.then(() => this.survey());
    }, ms);
    (this.timer as { unref?: () => void }).unref?.();
  }

  private async survey(): Promise<void> {
    const { renter, clock, names, logger } = this.parts;
    const { signal } = this.stopping;
    if (signal.aborted) return;
    try {
      await this.farmers.refresh();
      const away = new Set(
        this.farmers.last.filter((one) => this.isAway(one)).map(({ contact }) => contact.nodeId),
      );
      const health = renter.health({
        isAway: (nodeId) => away.has(nodeId),
        soon: clock.now() + DAY,
        signal,
      });
      this.result = await surveyObjects(health, names, () => clock.now());
    } catch (error) {
      if (signal.aborted) return;
      logger.warn({ error: messageOf(error) }, 'the dashboard could not look at all objects');
    }
    const watched = clock.now() - this.lastLook < LOOKED_MS;
    const took = (this.result?.survey.tookMs ?? 0) * SURVEY_MS.share;
    this.surveyIn(Math.max(watched ? SURVEY_MS.watched : SURVEY_MS.unwatched, took));
  }

  /** Whether a farmer did not answer the last time that it was asked, by care or by the DHT. */
  private isAway({ contact, reputation }: FarmerRecord): boolean {
    const { renter, watch } = this.parts;
    if (renter.node.routingTable.get(contact.nodeId) !== undefined) return false;
    if (reputation.offlineSince !== null) return true;
    return watch.gone.some((gone) => gone.contact.nodeId === contact.nodeId);
  }

  private farmerRows(now: number): FarmerRow[] {
    return this.farmers.last
      .filter(({ seen }) => now - seen < FORGOTTEN_MS)
      .map((record): FarmerRow => {
        const { contact, terms, latencyMs, reputation } = record;
        const away = this.isAway(record);
        const gone = this.parts.watch.gone.find((one) => one.contact.nodeId === contact.nodeId);
        return {
          nodeId: contact.nodeId,
          address: contact.addresses[0]?.slice(0, 300) ?? null,
          operator: terms.operator?.slice(0, 200) ?? null,
          standing: reputation.standing,
          why: explainReputation(reputation, now).slice(0, 1000),
          leaving: terms.leaving,
          answers: !away,
          awaySince: away ? (gone?.since ?? reputation.offlineSince) : null,
          latencyMs: Math.max(0, latencyMs),
          freeBytes: terms.freeBytes,
          passed: reputation.passed,
          failed: reputation.failed,
          uptime: Math.min(1, Math.max(0, reputation.uptime)),
        };
      })
      .sort((a, b) => Number(a.answers) - Number(b.answers) || (a.nodeId < b.nodeId ? -1 : 1));
  }

  private care(): BridgeState['care'] {
    const { phase, since, rounds, queue, done, repairing, last, failure } =
      this.parts.renter.careStatus;
    return {
      here: this.parts.care,
      phase,
      since,
      rounds,
      queue,
      done,
      repairing:
        repairing === null
          ? null
          : { id: repairing.objectId, segment: repairing.index, since: repairing.since },
      last:
        last === null
          ? null
          : {
              at: last.at,
              audited: last.report.audits.held,
              failed: last.report.audits.failed,
              unanswered: last.report.audits.unanswered,
              renewed: last.report.renewals.renewed,
              repaired: last.report.repaired,
              placed: last.report.placed,
              unrepaired: last.report.failures.length,
            },
      failure: failure === null ? null : { at: failure.at, reason: failure.reason.slice(0, 1000) },
    };
  }

  private async findBuckets(): Promise<BridgeState['buckets']> {
    const { metadata, names } = this.parts;
    const buckets = await metadata.listBuckets({ limit: MAX_BUCKETS + 1 });
    const users = await metadata.listUsers({ limit: MAX_USERS });
    const list = [];
    for (const { name, created } of buckets.slice(0, MAX_BUCKETS)) {
      const { objects, bytes } = await metadata.bucketUsage(name);
      list.push({ name: names ? name : null, objects, bytes, created });
    }
    const more = buckets.length > MAX_BUCKETS;
    return { total: list.length, more, users: users.length, list };
  }

  private async sum(): Promise<Money> {
    await Promise.resolve();
    return moneyView(this.parts.renter.payer.book, 'spent', this.parts.clock.now());
  }
}

/** Audits that farmers have passed and failed in all. */
function auditsOf(farmers: readonly FarmerRecord[]): readonly [number, number] {
  let [passed, failed] = [0, 0];
  for (const { reputation } of farmers) {
    passed += reputation.passed;
    failed += reputation.failed;
  }
  return [passed, failed];
}
