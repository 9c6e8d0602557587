import { expect, it } from 'vitest';
import { VirtualClock } from '@granary/kad';
import { FrameBuffers } from './frame-buffers.js';

const MIB = 1024 * 1024;

it('gives the smallest that fits again, keeps no more than it may, and lets go of what rests', async () => {
  const clock = new VirtualClock();
  const buffers = new FrameBuffers(clock);
  const [small, large] = [buffers.take(100), buffers.take(1000)];
  expect([small.length, large.length]).toEqual([100, 1000]);
  buffers.give(small);
  buffers.give(large);
  expect(buffers.take(101)).toBe(large);
  expect(buffers.take(50)).toBe(small);
  expect(buffers.take(50)).not.toBe(small);

  for (let i = 0; i < 8; i += 1) buffers.give(Buffer.alloc(1000));
  for (let i = 0; i < 5; i += 1) buffers.give(Buffer.alloc(MIB));
  // Large ones drive small ones out, and there are never more than 4 MiB.
  expect(buffers.size).toBe(4 * MIB);
  await clock.run(9_000);
  expect(buffers.size).toBe(4 * MIB);
  await clock.run(2_000);
  expect(buffers.size).toBe(0);
});
