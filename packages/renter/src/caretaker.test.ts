import { afterAll, beforeAll, expect, it } from 'vitest';
import { TestGranary } from './care.test-support.js';
import type { Renter } from './index.js';

let granary: TestGranary;
let renter: Renter;

beforeAll(async () => {
  granary = await TestGranary.start(1);
  renter = await granary.renter();
});
afterAll(() => granary.stop());

it('ends care at once when it is told so at the very end of a round', async () => {
  const stop = new AbortController();
  const rounds: unknown[] = [];
  // Else it would wait for the time between two rounds, which is hours.
  await renter.keepCare(stop.signal, (result) => {
    rounds.push(result);
    stop.abort();
  });
  expect(rounds).toHaveLength(1);
});
