import type { RedundancyScheme } from '@granary/protocol';

/** Farmers that the usual scheme needs. */
const USUAL = 12;

/**
 * A scheme for a network of few farmers: one shard on each, any third of which restore an object, and one
 * that may be slow. Undefined where the usual one fits.
 */
export function fittingScheme(farmers: number): RedundancyScheme | undefined {
  if (farmers >= USUAL) return undefined;
  const n = farmers;
  const k = Math.max(1, Math.floor(n / 3));
  const success = n > 3 ? n - 1 : n;
  return { k, repair: Math.min(success, k + Math.ceil((success - k) / 3)), success, n };
}
