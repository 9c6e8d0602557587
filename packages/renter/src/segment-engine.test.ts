import { randomBytes } from 'node:crypto';
import { afterEach, expect, it } from 'vitest';
import { type Clock, VirtualClock, systemClock } from '@granary/kad';
import { segmentKey } from './segment-cipher.js';
import { type SegmentEngine, WorkerEngine } from './segment-engine.js';
import { type SegmentFrame, windowOf } from './segment-job.js';
import { startThread } from './segment-thread.js';

const KIB = 1024;
const frame: SegmentFrame = {
  objectKey: new Uint8Array(32).fill(7),
  chunkSize: 64 * KIB,
  cellSize: 4096,
  ...{ k: 2, n: 4, audits: 1 },
};

const engines: WorkerEngine[] = [];
function openEngine(program = 'segment-worker.js', clock: Clock = systemClock): WorkerEngine {
  const engine = new WorkerEngine(clock, 1, (events) =>
    // A thread can't run the sources.
    startThread(events, new URL(`../dist/${program}`, import.meta.url)),
  );
  engines.push(engine);
  return engine;
}
afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
});

/** Encode so many bytes, and decode them from the shards that are no data: they have to be those that went in. */
async function throughEngine(engine: SegmentEngine, size: number): Promise<void> {
  const source = randomBytes(size);
  const plain = engine.plainBuffer(size);
  plain.set(source);
  const { salt, shards } = await engine.encode(frame, 0, plain);
  const segment = { index: 0, length: size, key: segmentKey(frame.objectKey, salt) };
  const parity = new Map([2, 3].map((i) => [i, shards[i]!.bytes]));
  const got = await engine.decode(frame, segment, windowOf(frame, size, 0, size), parity);
  expect(source.equals(got)).toBe(true);
}

it('does small jobs where it is asked, without a thread', async () => {
  const engine = openEngine();
  for (const size of [1, 5000, 200 * KIB]) await throughEngine(engine, size);
  expect(engine.threads).toBe(0);
});

it('starts threads when there is more than a little to do, which does not wait for them', async () => {
  const engine = openEngine();
  // Twice as much is encoded, and as much is decoded.
  await throughEngine(engine, 1024 * KIB);
  expect(engine.threads).toBe(0);
  await throughEngine(engine, 1024 * KIB);
  expect(engine.threads).toBe(1);
  await Promise.all([1024, 1024, 4096, 300].map((size) => throughEngine(engine, size * KIB)));
  await throughEngine(engine, 700 * KIB);
  expect(engine.threads).toBe(1);
});

it('does the same in the thread that is in one file', async () => {
  const engine = openEngine('bundled-segment-worker.js');
  for (const size of [5 * 1024 * KIB, 300 * KIB]) await throughEngine(engine, size);
  expect(engine.threads).toBe(1);
});

it('ends threads that had nothing to do for a while, whose memory they would keep, and starts others', async () => {
  const clock = new VirtualClock();
  const engine = openEngine('segment-worker.js', clock);
  for (let again = 0; again < 2; again += 1) {
    const work = throughEngine(engine, 6 * 1024 * KIB);
    expect(engine.threads).toBe(1);
    // Not in the middle of it.
    await clock.run(11_000);
    await work;
    engine.recyclePlain(engine.plainBuffer(1024 * KIB));
    await clock.run(9_000);
    expect(engine.threads).toBe(1);
    await clock.run(2_000);
    expect(engine.threads).toBe(0);
  }
  await throughEngine(engine, 300 * KIB);
  expect(engine.threads).toBe(0);
});

it('starts threads for what is large, or comes while another is at work', async () => {
  const [large, several] = [openEngine(), openEngine()];
  large.plainBuffer(16 * 1024 * KIB);
  expect(large.threads).toBe(1);
  await throughEngine(large, 5 * 1024 * KIB);
  await Promise.all([300, 300].map((size) => throughEngine(several, size * KIB)));
  expect(several.threads).toBe(1);
});

it('says what was wrong alike with and without a thread', async () => {
  const engine = openEngine();
  for (const size of [100 * KIB, 6 * 1024 * KIB]) {
    const { shards } = await engine.encode(frame, 0, new Uint8Array(size));
    const segment = { index: 0, length: size, key: new Uint8Array(32) };
    const data = new Map([0, 1].map((i) => [i, shards[i]!.bytes]));
    await expect(
      engine.decode(frame, segment, windowOf(frame, size, 0, size), data),
    ).rejects.toMatchObject({ code: 'RENTER_DECRYPT' });
  }
  expect(engine.threads).toBe(1);
});

it('does nothing once it is closed', async () => {
  const engine = openEngine();
  await engine.close();
  for (const size of [1, 8 * 1024 * KIB]) {
    await expect(engine.encode(frame, 0, new Uint8Array(size))).rejects.toMatchObject({
      code: 'RENTER_CLOSED',
    });
  }
  expect(engine.threads).toBe(0);
});
