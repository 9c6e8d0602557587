import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Budget } from './segment-pipeline.js';

const { signal } = new AbortController();
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('a budget', () => {
  it('gives no more than there is, in the order of asking, and everybody in the end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 20 }),
        async (amounts) => {
          const budget = new Budget(20);
          const [served, given]: [number[], number[]] = [[], []];
          const tasks = amounts.map(async (amount, i) => {
            const free = await budget.take(amount, signal);
            served.push(i);
            given.push(Math.min(amount, 20));
            expect(given.reduce((sum, one) => sum + one, 0)).toBeLessThanOrEqual(20);
            await turn();
            given.splice(given.indexOf(Math.min(amount, 20)), 1);
            free();
            free();
          });
          await Promise.all(tasks);
          expect(served).toEqual(amounts.map((_, i) => i));
        },
      ),
    );
  });

  it('lets those behind go on when one that waits is stopped', async () => {
    const budget = new Budget(10);
    const free = await budget.take(8, signal);
    const stop = new AbortController();
    const large = budget.take(10, stop.signal);
    const small = budget.take(2, signal);
    stop.abort(new Error('enough'));
    await expect(large).rejects.toThrow('enough');
    (await small)();
    free();
    await expect(budget.take(1, stop.signal)).rejects.toThrow('enough');
    (await budget.take(10, signal))();
  });
});
