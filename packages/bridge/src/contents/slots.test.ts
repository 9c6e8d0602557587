import { expect, it } from 'vitest';
import { Slots } from './slots.js';

const signal = new AbortController().signal;

it('as many as there are go at once, the others in their order', async () => {
  const slots = new Slots(2);
  const order: number[] = [];
  let [running, most] = [0, 0];
  await Promise.all(
    Array.from({ length: 9 }, async (_, i) => {
      const give = await slots.take(signal);
      order.push(i);
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setTimeout(resolve, 1));
      running -= 1;
      give();
      give();
    }),
  );
  expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  expect(most).toBe(2);
});

it('one that gives up waiting takes nobody’s place', async () => {
  const slots = new Slots(1);
  const give = await slots.take(signal);
  const impatient = new AbortController();
  const first = slots.take(impatient.signal);
  const second = slots.take(signal);
  impatient.abort(new Error('gave up'));
  await expect(first).rejects.toThrow('gave up');
  give();
  (await second)();
  (await slots.take(signal))();
  await expect(slots.take(impatient.signal)).rejects.toThrow('gave up');
});
