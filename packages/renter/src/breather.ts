import type { Clock } from '@granary/kad';

/** Work in one go, in milliseconds: then others have their turn. */
const BREATH_MS = 10;

/**
 * Something to wait for between two steps of a long walk. A store on this machine answers at once, so a walk
 * over all of it would leave no turn for others.
 */
export function breather(clock: Clock): () => Promise<void> {
  let begun = clock.now();
  return async () => {
    if (clock.now() - begun < BREATH_MS) return;
    await new Promise<void>((resolve) => clock.setTimeout(resolve, 0));
    begun = clock.now();
  };
}
