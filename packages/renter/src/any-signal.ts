import { allowManyListeners } from '@granary/kad';

/**
 * A signal that aborts with the first of several. Hundreds of transfers may listen to one signal, so
 * there is no limit on listeners to warn of.
 */
export function anySignal(signals: readonly AbortSignal[]): AbortSignal {
  const signal = AbortSignal.any([...signals]);
  for (const one of [signal, ...signals]) allowManyListeners(one);
  return signal;
}
