/**
 * How likely a binomial count is to be as far out as `count`, on the side that it lies on: the exact
 * tail, P(X ≤ count) or P(X ≥ count), whichever is smaller.
 */
export function binomialTail(trials: number, chance: number, count: number): number {
  let logTerm = trials * Math.log1p(-chance); // of X = 0
  const odds = Math.log(chance) - Math.log1p(-chance);
  let atMost = 0;
  let atLeast = 0;
  for (let k = 0; k <= trials; k += 1) {
    const term = Math.exp(logTerm);
    if (k <= count) atMost += term;
    if (k >= count) atLeast += term;
    logTerm += Math.log(trials - k) - Math.log(k + 1) + odds;
  }
  return Math.min(atMost, atLeast);
}
