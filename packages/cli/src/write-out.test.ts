import { Writable } from 'node:stream';
import { expect, it } from 'vitest';
import { writeOut } from './write-out.js';

/** A reader that takes one write at a time, and how many listeners wait for it. */
function slowReader() {
  const got: Buffer[] = [];
  const out = new Writable({
    highWaterMark: 1,
    write(bytes: Buffer, _encoding, done) {
      got.push(bytes);
      setImmediate(done);
    },
  });
  const waiting = () =>
    ['drain', 'close', 'error'].reduce((sum, event) => sum + out.listenerCount(event), 0);
  return { out, got, waiting };
}

it('waits for a slow reader, and leaves nothing behind that waits', async () => {
  const { out, got, waiting } = slowReader();
  const before = waiting();
  for (let i = 0; i < 40; i += 1) {
    expect(await writeOut(Buffer.of(i, 0), out)).toBe(true);
    expect(waiting()).toBe(before);
  }
  expect(got.map(([first]) => first)).toEqual(Array.from({ length: 40 }, (_, i) => i));
});

it('says when the reader has gone, before and while it is waited for', async () => {
  const { out } = slowReader();
  const writing = writeOut(Buffer.of(1, 2), out);
  out.destroy();
  expect(await writing).toBe(false);
  expect(await writeOut(Buffer.of(3), out)).toBe(false);
});
