import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
// The renter's own tests need farmers; the layers let no other code of this package name them.
// eslint-disable-next-line no-restricted-imports
import { Farmer } from '@granary/farmer';
import { Identity, silentLogger, systemClock } from '@granary/kad';
import { MAX_DATA_FRAME, USUAL_DATA_FRAME } from '@granary/protocol';
import { all } from './all.js';
import { Renter, RenterKeys } from './index.js';

const SIZE = 3_000_000;
/** Bytes of a large frame that go out with its header. */
const BEFORE = 16 * 1024 - 10;

async function* stream(content: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(content);
}

let directory: string;
let farmer: Farmer;
let renter: Renter;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'granary-frames-'));
  farmer = await Farmer.open({
    directory: join(directory, 'farmer'),
    identity: Identity.generate(),
    host: '127.0.0.1',
    port: 0,
    bootstrap: [],
    quotaBytes: 100_000_000,
    logger: silentLogger,
  });
  const time = Date.now();
  renter = await Renter.open({
    directory: join(directory, 'renter'),
    keys: RenterKeys.fromEntropy(randomBytes(32)),
    bootstrap: [farmer.address],
    logger: silentLogger,
    // By a clock that stands still every connection is as fast as can be.
    clock: { ...systemClock, now: () => time },
    settings: { scheme: { k: 1, repair: 1, success: 1, n: 1 }, segmentSize: 4 * 1024 * 1024 },
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await renter.close();
  await farmer.stop();
  await rm(directory, { recursive: true, force: true });
});

it('sends in usual frames until it knows that a connection is fast, and then in the largest', async () => {
  const contents = [randomBytes(SIZE), randomBytes(SIZE)];
  const steps: number[][] = [];
  for (const [i, content] of contents.entries()) {
    const moved = [0];
    await renter.put(
      { bucket: 'b', name: String(i) },
      { kind: 'stream', stream: stream(content) },
      { onShard: ({ bytes }) => void (bytes > moved.at(-1)! && moved.push(bytes)) },
    );
    steps.push(moved.slice(1).map((bytes, at) => bytes - moved[at]!));
  }
  expect(steps[0]![0]).toBe(USUAL_DATA_FRAME);
  expect(Math.max(...steps[0]!)).toBe(USUAL_DATA_FRAME);
  expect(steps[1]!.slice(0, 2)).toEqual([MAX_DATA_FRAME, MAX_DATA_FRAME]);
  // What comes back is in such frames, too.
  const sent = vi.spyOn(TLSSocket.prototype, 'write');
  for (const [i, content] of contents.entries()) {
    sent.mockClear();
    const got = await all(renter.get({ bucket: 'b', name: String(i) }));
    expect(Buffer.concat(got).equals(content)).toBe(true);
    const sizes = sent.mock.calls.map(([data]) => (data as Uint8Array).length);
    expect(sizes.filter((size) => size === MAX_DATA_FRAME - BEFORE)).toHaveLength(2);
  }
});

it('sends a shard with its request where it is one frame, and asks first where it is more', async () => {
  const said = vi.spyOn(WebSocket.prototype, 'send');
  /** What was said in transfers while an object was put. */
  const putting = async (size: number) => {
    said.mockClear();
    const object = { bucket: 'b', name: String(size) };
    const content = randomBytes(size);
    await renter.put(object, { kind: 'stream', stream: stream(content) });
    expect(Buffer.concat(await all(renter.get(object))).equals(content)).toBe(true);
    const texts = said.mock.calls.map(([data]) => data).filter((data) => typeof data === 'string');
    const messages = texts.map((text) => JSON.parse(text) as { type: string; whole?: true });
    return messages.filter(({ type }) => ['upload', 'ready', 'stored'].includes(type));
  };
  const small = await putting(10_000);
  expect(small).toMatchObject([{ type: 'upload', whole: true }, { type: 'stored' }]);
  const large = await putting(2_000_000);
  expect(large.slice(0, 3)).toMatchObject([
    { type: 'upload' },
    { type: 'ready' },
    { type: 'stored' },
  ]);
  expect(large[0]!.whole).toBeUndefined();
});
