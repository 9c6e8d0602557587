import type { RequestFigures } from '@granary/bridge';
import type { BridgeState } from '@granary/web';

/** Times that are kept of each operation. */
const KEPT = 64;
/** Operations of their own; clients can't make more up, and this is a bound all the same. */
const MAX_OPERATIONS = 100;

interface Operation {
  count: number;
  errors: number;
  readonly last: number[];
}

/** Counts a bridge's requests for its dashboard. */
export class RequestTally {
  private readonly operations = new Map<string, Operation>();
  private total = 0;
  private refused = 0;
  private failed = 0;
  private received = 0;
  private sent = 0;

  /** Take note of a request that was answered. */
  note({ operation, status, seconds, received, sent }: RequestFigures): void {
    const known = this.operations.get(operation);
    const name =
      known === undefined && this.operations.size >= MAX_OPERATIONS ? 'other' : operation;
    const entry = known ?? this.operations.get(name) ?? { count: 0, errors: 0, last: [] };
    this.operations.set(name, entry);
    entry.count += 1;
    if (status >= 400) entry.errors += 1;
    entry.last.push(seconds * 1000);
    if (entry.last.length > KEPT) entry.last.shift();
    this.total += 1;
    if (status >= 500) this.failed += 1;
    else if (status >= 400) this.refused += 1;
    this.received += received;
    this.sent += sent;
  }

  /** What was counted, the most frequent operation first. */
  get figures(): Omit<BridgeState['requests'], 'running' | 'connections'> {
    const { total, refused, failed, received, sent } = this;
    const operations = [...this.operations]
      .map(([name, { count, errors, last }]) => ({ name, count, errors, medianMs: median(last) }))
      .sort((a, b) => b.count - a.count)
      .slice(0, MAX_OPERATIONS);
    return { total, refused, failed, received, sent, operations };
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
