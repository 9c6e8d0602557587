import type { Farmer } from '@granary/farmer';
import { type Clock, type Logger, type PeerWatch, messageOf } from '@granary/kad';
import type { FarmerState, Money } from '@granary/web';
import { Cached } from './cached.js';
import type { DashboardSource } from './dashboard-source.js';
import { moneyView } from './money-view.js';
import { neighbourhoodView } from './neighbourhood-view.js';

const DAY = 24 * 3600 * 1000;
const CONTRACTS_FRESH_MS = 30_000;
const MONEY_FRESH_MS = 10_000;
const MAX_RENTERS = 10_000;
const NOTHING: Money = { direction: 'earned', accounts: [], days: [] };

/** Shows a farmer of this process. */
export class FarmerSource implements DashboardSource {
  readonly kind = 'farmer';
  private readonly stopping = new AbortController();
  private readonly contracts: Cached<FarmerState['contracts']>;
  private readonly money: Cached<Money>;

  constructor(
    private readonly farmer: Farmer,
    private readonly watch: PeerWatch,
    private readonly clock: Clock,
    logger: Logger,
  ) {
    const failed = (error: unknown) => {
      if (this.stopping.signal.aborted) return;
      logger.debug({ error: messageOf(error) }, 'a figure for the dashboard could not be found');
    };
    this.contracts = new Cached(null, CONTRACTS_FRESH_MS, clock, () => this.count(), failed);
    this.money = new Cached(NOTHING, MONEY_FRESH_MS, clock, () => this.sum(), failed);
  }

  async state(): Promise<FarmerState> {
    const { farmer, watch, clock } = this;
    if (this.contracts.get() === null) await this.contracts.settled();
    if (this.money.get() === NOTHING) await this.money.settled();
    return {
      kind: 'farmer',
      time: clock.now(),
      figures: farmer.stats(),
      contracts: this.contracts.last,
      neighbourhood: neighbourhoodView(farmer.node, watch),
      money: this.money.last,
    };
  }

  sample(): readonly number[] {
    const { bytesIn, bytesOut, usedBytes, audits, auditsLost, peers, tunnelBytes } =
      this.farmer.stats();
    return [bytesIn, bytesOut, usedBytes, audits, auditsLost, peers, tunnelBytes];
  }

  async close(): Promise<void> {
    this.stopping.abort(new Error('the dashboard is closing'));
    await Promise.all([this.contracts.settled(), this.money.settled()]);
  }

  private async count(): Promise<FarmerState['contracts']> {
    const now = this.clock.now();
    const bounds = [now + DAY, now + 7 * DAY, now + 30 * DAY];
    const counts = await this.farmer.endings(bounds, this.stopping.signal);
    const [endInDay = 0, endInWeek = 0, endInMonth = 0] = counts;
    const renters = this.farmer.countRenters(MAX_RENTERS);
    return { renters, moreRenters: renters >= MAX_RENTERS, endInDay, endInWeek, endInMonth };
  }

  private async sum(): Promise<Money> {
    await Promise.resolve();
    return moneyView(this.farmer.payee.book, 'earned', this.clock.now());
  }
}
