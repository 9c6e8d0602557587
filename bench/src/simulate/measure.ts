import type { Census, KademliaNode, LookupResult, Simulation } from '@granary/kad';

/** What one lookup came to. */
export interface Outcome {
  /** It found the closest of those who were there when it began and when it ended. */
  readonly found: boolean;
  /** The share of the k closest of them that it found, 0 to 1. */
  readonly share: number;
  readonly hops: number;
  readonly messages: number;
  /** Virtual milliseconds. */
  readonly ms: number;
}

/** A random key. */
export function randomKey({ random }: Simulation): string {
  return Buffer.from(random.bytes(32)).toString('hex');
}

/** Look a key up, and compare with the truth. */
export async function measureLookup(
  { clock }: Simulation,
  asker: KademliaNode,
  target: string,
  census: Census,
): Promise<Outcome> {
  const { k } = asker.options;
  const before = census.closest(target, k + 1).filter((id) => id !== asker.identity.nodeId);
  const began = clock.now();
  let result: LookupResult<never>;
  try {
    result = await asker.lookup(target);
  } catch {
    return { found: false, share: 0, hops: 0, messages: 0, ms: clock.now() - began };
  }
  const truth = before.slice(0, k).filter((id) => census.has(id));
  const contacts = new Set(result.contacts.map(({ nodeId }) => nodeId));
  return {
    found: truth.length === 0 || contacts.has(truth[0]!),
    share: truth.length === 0 ? 1 : truth.filter((id) => contacts.has(id)).length / truth.length,
    hops: result.hops,
    messages: result.messages,
    ms: clock.now() - began,
  };
}

/**
 * Run something so many times, the beginnings spread evenly over virtual time; time passes.
 *
 * @param overMs - virtual milliseconds from the first beginning to the last
 */
export async function spread<T>(
  { clock }: Simulation,
  count: number,
  overMs: number,
  run: () => Promise<T>,
): Promise<T[]> {
  const all: Promise<T>[] = [];
  for (let i = 0; i < count; i += 1) {
    const begun = new Promise<void>((resolve) => clock.setTimeout(resolve, (i * overMs) / count));
    all.push(begun.then(run));
  }
  return clock.settle(Promise.all(all));
}

/** The share of lookups that were found, and so on. */
export interface Summary {
  readonly lookups: number;
  readonly found: number;
  readonly share: number;
  readonly hops: number;
  readonly hops99: number;
  readonly messages: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** @param outcomes - at least one */
export function summarise(outcomes: readonly Outcome[]): Summary {
  const ms = outcomes.map((outcome) => outcome.ms).sort((a, b) => a - b);
  const hops = outcomes.map((outcome) => outcome.hops).sort((a, b) => a - b);
  return {
    lookups: outcomes.length,
    found: mean(outcomes.map(({ found }) => (found ? 1 : 0))),
    share: mean(outcomes.map(({ share }) => share)),
    hops: mean(hops),
    hops99: quantile(hops, 0.99),
    messages: mean(outcomes.map(({ messages }) => messages)),
    p50: quantile(ms, 0.5),
    p95: quantile(ms, 0.95),
    p99: quantile(ms, 0.99),
  };
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The smallest value that a share of all values does not exceed. @param sorted - from the smallest */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
}

/** The straight line with the least squared error, and R², the share of the variance it explains. */
export function fitLine(points: readonly (readonly [number, number])[]): {
  intercept: number;
  slope: number;
  r2: number;
} {
  const mx = mean(points.map(([x]) => x));
  const my = mean(points.map(([, y]) => y));
  const sxy = points.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0);
  const sxx = points.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
  const syy = points.reduce((sum, [, y]) => sum + (y - my) ** 2, 0);
  const slope = sxy / sxx;
  return { intercept: my - slope * mx, slope, r2: syy === 0 ? 1 : sxy ** 2 / (sxx * syy) };
}
