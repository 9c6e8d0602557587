import { expect, it } from 'vitest';
import { systemClock } from '@granary/kad';
import { breather } from './breather.js';

it('gives others a turn in a long walk, and only then', async () => {
  let now = 0;
  const clock = { ...systemClock, now: () => now, setTimeout: systemClock.setTimeout };
  const breathe = breather(clock);
  let turns = 0;
  const others = setTimeout(() => (turns += 1), 0);
  await breathe();
  expect(turns).toBe(0);
  now = 11;
  await breathe();
  await breathe();
  expect(turns).toBe(1);
  clearTimeout(others);
});
