import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { type Clock, systemClock } from '@granary/kad';
import { gatewayOfProcRoute } from './mapping/routing-tables.js';

/** What a {@link NetworkWatch} is made of. */
export interface NetworkWatchOptions {
  /** Called when the network is another than before. */
  readonly onChange: () => void;
  readonly clock?: Clock;
  /** Milliseconds between two looks. Default 10,000. */
  readonly intervalMs?: number;
  /** Describes the network; equal texts are the same network. */
  readonly look?: () => Promise<string>;
}

const INTERVAL_MS = 10_000;

/** Looks, every few seconds, whether our addresses or our default gateway have changed. */
export class NetworkWatch {
  private readonly clock: Clock;
  private readonly look: () => Promise<string>;
  private last: string | undefined;
  private timer: unknown;
  private stopped = false;

  constructor(private readonly options: NetworkWatchOptions) {
    this.clock = options.clock ?? systemClock;
    this.look = options.look ?? describeNetwork;
  }

  /** Begin to watch. */
  start(): void {
    void this.check();
  }

  stop(): void {
    this.stopped = true;
    this.clock.clearTimeout(this.timer);
  }

  private async check(): Promise<void> {
    // A look that fails says nothing about the network.
    const now = await this.look().catch(() => this.last);
    if (this.stopped) return;
    if (this.last !== undefined && now !== this.last) this.options.onChange();
    this.last = now;
    this.timer = this.clock.setTimeout(
      () => void this.check(),
      this.options.intervalMs ?? INTERVAL_MS,
    );
  }
}

/**
 * Our addresses, and the default gateway where that can be read without starting a program: there
 * another network without another address is rare.
 */
async function describeNetwork(): Promise<string> {
  const addresses = Object.entries(networkInterfaces())
    .flatMap(([name, list = []]) => list.map(({ address }) => `${name} ${address}`))
    .sort();
  const routes =
    process.platform === 'linux' ? await readFile('/proc/net/route', 'utf8').catch(() => '') : '';
  return [...addresses, gatewayOfProcRoute(routes) ?? ''].join('\n');
}
