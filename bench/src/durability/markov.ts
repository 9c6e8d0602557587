import type { RedundancyScheme } from '@granary/protocol';

/**
 * The share of segments that are lost when farmers fail independently: a chain whose state is the
 * number of shards left. From j the next shard is lost at rate j · `lossRate`; below `repair` (the
 * threshold) all n are there again at rate `repairRate`; below k the segment is lost for good. The
 * differential equations are solved by small steps.
 *
 * @param lossRate - losses of one shard per hour
 * @param repairRate - repairs of a segment per hour once it is below the threshold; 0 for none
 * @param hours - how long
 */
export function predictLoss(
  { k, repair, n }: RedundancyScheme,
  lossRate: number,
  repairRate: number,
  hours: number,
): number {
  const step = Math.min(1, 0.02 / (n * lossRate), repairRate > 0 ? 0.02 / repairRate : 1);
  let p = new Float64Array(n + 1);
  p[n] = 1;
  let lost = 0;
  for (let t = 0; t < hours; t += step) {
    const next = p.slice();
    for (let j = k; j <= n; j += 1) {
      const down = p[j]! * j * lossRate * step;
      next[j]! -= down;
      if (j - 1 < k) lost += down;
      else next[j - 1]! += down;
      if (j < repair && repairRate > 0) {
        const up = p[j]! * repairRate * step;
        next[j]! -= up;
        next[n]! += up;
      }
    }
    p = next;
  }
  return lost;
}

/**
 * The same with repairs that take a fixed time, as they do here (so long until silence counts, so
 * long until the next look), in place of an exponentially distributed one: the number of times that a
 * segment falls below its threshold, from the mean time of that, times the binomial probability that
 * so many of the shards that are left go within the delay that too few remain.
 *
 * @param delay - hours from the loss that crosses the threshold to the end of the repair
 */
export function predictLossFixedDelay(
  { k, repair, n }: RedundancyScheme,
  lossRate: number,
  delay: number,
  hours: number,
): number {
  let fall = 0;
  for (let j = repair; j <= n; j += 1) fall += 1 / (j * lossRate);
  const gone = 1 - Math.exp(-lossRate * delay);
  const left = repair - 1;
  let tail = 0;
  let choose = 1;
  for (let i = 0; i <= left; i += 1) {
    if (i >= repair - k) tail += choose * gone ** i * (1 - gone) ** (left - i);
    choose = (choose * (left - i)) / (i + 1);
  }
  return Math.min(1, (hours / (fall + delay)) * tail);
}
