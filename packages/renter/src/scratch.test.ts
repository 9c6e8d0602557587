import { expect, it } from 'vitest';
import { Scratch } from './scratch.js';

const MIB = 1024 * 1024;

it('gives memory that came back again, to as much or less, and to one at a time', () => {
  const scratch = new Scratch();
  const first = scratch.take(1000);
  expect(first).toHaveLength(1000);
  scratch.give(first);
  const again = scratch.take(400);
  expect(again).toHaveLength(400);
  expect(again.buffer).toBe(first.buffer);
  expect(scratch.take(400).buffer).not.toBe(first.buffer);
  scratch.give(again);
  expect(scratch.take(1001).buffer).not.toBe(first.buffer);
});

it('keeps the two largest, and nothing above two MiB', () => {
  const scratch = new Scratch();
  const sizes = [3000, 1000, 2000];
  const taken = sizes.map((size) => scratch.take(size));
  for (const array of taken) scratch.give(array);
  expect(scratch.take(1).buffer).toBe(taken[0]!.buffer);
  expect(scratch.take(1).buffer).toBe(taken[2]!.buffer);
  expect(taken.map(({ buffer }) => buffer)).not.toContain(scratch.take(1).buffer);
  const huge = scratch.take(2 * MIB + 1);
  scratch.give(huge);
  expect(scratch.take(1).buffer).not.toBe(huge.buffer);
});
