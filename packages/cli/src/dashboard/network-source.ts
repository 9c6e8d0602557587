import type { Clock } from '@granary/kad';
import type { FarmerFigures, NetworkFarmer, NetworkState } from '@granary/web';
import type { DashboardSource } from './dashboard-source.js';
import { FarmerHealth } from './farmer-health.js';

/** A farmer's process of a local network. */
export interface NetworkMember {
  readonly index: number;
  readonly nodeId: string;
  readonly address: string;
  readonly pid: number;
}

/** Between two questions to a farmer: while somebody looks, and else. In milliseconds. */
const WATCHED_MS = 2_000;
const UNWATCHED_MS = 15_000;
/** Somebody has looked lately. */
const LOOKED_MS = 10_000;
const TIMEOUT_MS = 3_000;
/** Farmers asked at one time. */
const PARALLEL = 8;

interface Watched {
  readonly member: NetworkMember;
  readonly health: FarmerHealth;
  pid: number | null;
  state: NetworkFarmer['state'];
  ended: string | null;
  since: number;
  rttMs: number | null;
  figures: FarmerFigures | null;
}

/** Shows a local network, by asking each farmer how it is. */
export class NetworkSource implements DashboardSource {
  readonly kind = 'network';
  private readonly farmers: Watched[];
  private readonly where: { readonly home: string; readonly directory: string };
  private lastLook = -Infinity;
  private closed = false;
  private timer: unknown;
  private round: Promise<void> = Promise.resolve();

  constructor(
    members: readonly NetworkMember[],
    where: { readonly home: string; readonly directory: string },
    private readonly clock: Clock,
  ) {
    this.where = where;
    this.farmers = members.map((member) => ({
      member,
      health: new FarmerHealth(member.nodeId, member.address, TIMEOUT_MS),
      pid: member.pid,
      state: 'starting',
      ended: null,
      since: clock.now(),
      rttMs: null,
      figures: null,
    }));
    this.askAll();
  }

  /** A farmer's process has ended. @param how - the signal or the exit code */
  ended(nodeId: string, how: string): void {
    const farmer = this.farmers.find(({ member }) => member.nodeId === nodeId);
    if (farmer === undefined) return;
    farmer.pid = null;
    farmer.ended = how;
    this.enter(farmer, 'gone');
  }

  state(): Promise<NetworkState> {
    const now = this.clock.now();
    // Whoever begins to look sees how it is now, and not a while ago.
    if (now - this.lastLook > LOOKED_MS) this.askAll();
    this.lastLook = now;
    return Promise.resolve({
      kind: 'network',
      time: now,
      ...this.where,
      farmers: this.farmers.map(({ member, pid, state, ended, since, rttMs, figures }) => ({
        index: member.index,
        nodeId: member.nodeId,
        address: member.address,
        pid,
        state,
        ended,
        since,
        rttMs,
        figures,
      })),
    });
  }

  sample(): readonly number[] {
    let [bytesIn, bytesOut, usedBytes, audits, auditsLost, running] = [0, 0, 0, 0, 0, 0];
    for (const { figures, state } of this.farmers) {
      if (state === 'running') running += 1;
      if (figures === null) continue;
      bytesIn += figures.bytesIn;
      bytesOut += figures.bytesOut;
      usedBytes += state === 'gone' ? 0 : figures.usedBytes;
      audits += figures.audits;
      auditsLost += figures.auditsLost;
    }
    return [bytesIn, bytesOut, usedBytes, audits, auditsLost, running];
  }

  async close(): Promise<void> {
    this.closed = true;
    this.clock.clearTimeout(this.timer);
    for (const { health } of this.farmers) health.close();
    await this.round;
  }

  private askAll(): void {
    if (this.closed) return;
    this.clock.clearTimeout(this.timer);
    this.round = this.round.then(async () => {
      const waiting = [...this.farmers];
      const work = async () => {
        for (let next = waiting.pop(); next !== undefined && !this.closed; next = waiting.pop()) {
          await this.ask(next);
        }
      };
      await Promise.all(Array.from({ length: PARALLEL }, work));
      if (this.closed) return;
      const watched = this.clock.now() - this.lastLook < LOOKED_MS;
      this.clock.clearTimeout(this.timer);
      this.timer = this.clock.setTimeout(() => this.askAll(), watched ? WATCHED_MS : UNWATCHED_MS);
    });
  }

  private async ask(farmer: Watched): Promise<void> {
    const begun = this.clock.now();
    try {
      farmer.figures = await farmer.health.ask();
      farmer.rttMs = this.clock.now() - begun;
      // One that was killed may have been started again by somebody else.
      farmer.ended = null;
      this.enter(farmer, 'running');
    } catch {
      if (this.closed || farmer.state === 'gone') return;
      this.enter(farmer, farmer.pid === null ? 'gone' : 'silent');
    }
  }

  private enter(farmer: Watched, state: NetworkFarmer['state']): void {
    if (farmer.state !== state) farmer.since = this.clock.now();
    farmer.state = state;
  }
}
