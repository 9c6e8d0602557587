import type { ServerResponse } from 'node:http';
import { type Clock, type Logger, messageOf } from '@granary/kad';
import { DASHBOARD_PROTOCOL, type Hello, stateSchema } from '@granary/web';
import type { DashboardSource } from './dashboard-source.js';
import { History, RECENT } from './history.js';

/** Bounds of a hub. Times in milliseconds. */
export interface HubLimits {
  /** Who may listen at one time. */
  readonly listeners: number;
  /** Between two states. */
  readonly stateMs: number;
  /** After so long without anything a listener is told that we are there. */
  readonly beatMs: number;
  /** Who takes nothing for so long is let go. */
  readonly stallMs: number;
}

/** The bounds of a hub that was told nothing else. */
export const HUB_LIMITS: HubLimits = {
  listeners: 16,
  stateMs: 2_000,
  beatMs: 10_000,
  stallMs: 30_000,
};

interface Listener {
  readonly response: ServerResponse;
  /** Since when it takes nothing. */
  blockedSince: number | undefined;
  /** Whether something was left out while it took nothing. */
  behind: boolean;
  lastSent: number;
}

/** What a hub is made of. */
export interface HubParts {
  readonly source: DashboardSource;
  /** Of `granary`. */
  readonly version: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits?: Partial<HubLimits>;
}

/**
 * Server-sent events to whoever looks. The state is taken while somebody does; figures are noted all
 * the time. A listener that is slow misses states and gets the newest; nothing is queued for it.
 */
export class EventHub {
  private readonly limits: HubLimits;
  private readonly history = new History();
  private readonly listeners = new Set<Listener>();
  private readonly stopping = new AbortController();
  private readonly startedAt: number;
  private newest: { at: number; text: string } | undefined;
  private taking = false;
  private stateTimer: unknown;
  private sampleTimer: unknown;
  private beatTimer: unknown;

  constructor(private readonly parts: HubParts) {
    this.limits = { ...HUB_LIMITS, ...parts.limits };
    this.startedAt = parts.clock.now();
    this.sample();
    this.beat();
  }

  /** How many listen. */
  get size(): number {
    return this.listeners.size;
  }

  /** Whether one more may listen. */
  get hasRoom(): boolean {
    return this.listeners.size < this.limits.listeners;
  }

  /** Have somebody listen until it goes. */
  add(response: ServerResponse): void {
    const listener: Listener = { response, blockedSince: undefined, behind: false, lastSent: 0 };
    this.listeners.add(listener);
    response.once('close', () => this.listeners.delete(listener));
    response.on('error', () => undefined);
    response.on('drain', () => {
      listener.blockedSince = undefined;
      if (!listener.behind) return;
      listener.behind = false;
      this.greet(listener);
    });
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
    });
    this.write(listener, 'retry: 2000\n\n');
    this.greet(listener);
    this.parts.clock.clearTimeout(this.stateTimer);
    void this.takeState();
  }

  /** End all streams. */
  async close(): Promise<void> {
    const { clock } = this.parts;
    this.stopping.abort(new Error('the dashboard is closing'));
    for (const timer of [this.stateTimer, this.sampleTimer, this.beatTimer]) {
      clock.clearTimeout(timer);
    }
    for (const { response } of this.listeners) response.destroy();
    this.listeners.clear();
    await this.parts.source.close();
  }

  private greet(listener: Listener): void {
    const { source, version, clock } = this.parts;
    const hello: Hello = {
      protocol: DASHBOARD_PROTOCOL,
      kind: source.kind,
      version,
      startedAt: this.startedAt,
      ...this.history.series,
    };
    this.send(listener, event('hello', hello));
    const fresh = clock.now() - (this.newest?.at ?? 0) < 2 * this.limits.stateMs;
    if (this.newest !== undefined && fresh) this.send(listener, this.newest.text);
  }

  private async takeState(): Promise<void> {
    const { source, clock, logger } = this.parts;
    if (this.taking || this.listeners.size === 0 || this.stopping.signal.aborted) return;
    this.taking = true;
    try {
      const state = await source.state(this.stopping.signal);
      // What does not fit its schema would be turned away by the page, and nobody would know why.
      const text = event('state', stateSchema.parse(state));
      this.newest = { at: clock.now(), text };
      for (const listener of this.listeners) this.send(listener, text);
    } catch (error) {
      if (!this.stopping.signal.aborted) {
        logger.warn({ error: messageOf(error) }, 'the dashboard could not see how things are');
      }
    } finally {
      this.taking = false;
      clock.clearTimeout(this.stateTimer);
      if (!this.stopping.signal.aborted) {
        this.stateTimer = clock.setTimeout(() => void this.takeState(), this.limits.stateMs);
      }
    }
  }

  private sample(): void {
    const { source, clock, logger } = this.parts;
    try {
      const text = event('sample', this.history.add(clock.now(), source.sample()));
      for (const listener of this.listeners) this.send(listener, text);
    } catch (error) {
      logger.warn({ error: messageOf(error) }, 'figures for the dashboard could not be noted');
    }
    this.sampleTimer = unref(clock.setTimeout(() => this.sample(), RECENT.stepMs));
  }

  private beat(): void {
    const { clock } = this.parts;
    const { beatMs, stallMs } = this.limits;
    const now = clock.now();
    for (const listener of this.listeners) {
      const { blockedSince, lastSent, response } = listener;
      if (blockedSince !== undefined && now - blockedSince > stallMs) response.destroy();
      else if (now - lastSent >= beatMs) this.send(listener, event('beat', { time: now }));
    }
    this.beatTimer = unref(clock.setTimeout(() => this.beat(), Math.min(beatMs, stallMs) / 2));
  }

  private send(listener: Listener, text: string): void {
    if (listener.blockedSince === undefined) this.write(listener, text);
    else listener.behind = true;
  }

  private write(listener: Listener, text: string): void {
    const now = this.parts.clock.now();
    listener.lastSent = now;
    if (!listener.response.write(text)) listener.blockedSince ??= now;
  }
}

function event(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** These timers alone do not keep a process alive. */
function unref(timer: unknown): unknown {
  (timer as { unref?: () => void } | undefined)?.unref?.();
  return timer;
}
