import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { RawData } from 'ws';
import { LEAST_LARGE } from './frame-header.js';
import { leadLargeMessages } from './large-messages.js';
import { webSocketPair } from './websocket-pair.test-support.js';

interface Frame {
  readonly fin: boolean;
  readonly opcode: number;
  readonly length: number;
  readonly mask: number | undefined;
}

/** A frame by RFC 6455, section 5.2, its payload as its mask leaves it. */
function encode({ fin, opcode, length, mask }: Frame): { bytes: Buffer; payload: Buffer } {
  const payload = Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 7 + length) & 255));
  const second =
    (mask === undefined ? 0 : 0x80) | (length < 126 ? length : length < 65_536 ? 126 : 127);
  const size = length < 126 ? Buffer.alloc(0) : Buffer.alloc(length < 65_536 ? 2 : 8);
  if (size.length === 2) size.writeUInt16BE(length);
  if (size.length === 8) size.writeBigUInt64BE(BigInt(length));
  const key = Buffer.alloc(mask === undefined ? 0 : 4);
  if (mask !== undefined) key.writeUInt32BE(mask);
  const head = Buffer.concat([Buffer.of((fin ? 0x80 : 0) | opcode, second), size, key]);
  return { bytes: Buffer.concat([head, payload]), payload };
}

const lengths = fc.oneof(
  fc.nat({ max: 130 }),
  fc.integer({ min: 65_000, max: 66_000 }),
  fc.integer({ min: LEAST_LARGE, max: 200_000 }),
);
const frames = fc.record({
  fin: fc.boolean(),
  opcode: fc.constantFrom(0, 1, 2, 2, 2, 9),
  length: lengths,
  mask: fc.constantFrom(undefined, undefined, 0, 0x01020304),
});

it.each(['data events', 'memory that is used again'])(
  'takes whole large binary messages and passes all else on as it came, cut anywhere: by %s',
  (how) => {
    const cuts = fc.array(fc.integer({ min: 1, max: 90_000 }), { minLength: 1, maxLength: 8 });
    const all = fc.array(frames, { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(all, cuts, fc.array(fc.boolean(), { minLength: 6 }), (sent, sizes, wanted) => {
        const passed: Buffer[] = [];
        const taken: Buffer[] = [];
        const expected = { passed: [] as Buffer[], taken: [] as Buffer[] };
        let asked = 0;
        let fragmented = false;
        for (const frame of sent) {
          const { bytes, payload } = encode(frame);
          const { fin, opcode, length, mask } = frame;
          const large = fin && opcode === 2 && !fragmented && length >= LEAST_LARGE;
          const led = large && (mask ?? 0) === 0 && wanted[asked++]!;
          if (led) expected.taken.push(payload);
          else expected.passed.push(bytes);
          if (opcode < 8) fragmented = !fin;
        }

        const stream = new PassThrough();
        stream.on('data', (bytes: Buffer) => passed.push(bytes));
        let asking = 0;
        let parts: Buffer[] = [];
        const read = leadLargeMessages({ once: () => undefined }, stream, {
          begin: () => wanted[asking++]!,
          take: (bytes) => void parts.push(Buffer.from(bytes)),
          end: () => {
            taken.push(Buffer.concat(parts));
            parts = [];
          },
        });
        const bytes = Buffer.concat(sent.map((frame) => encode(frame).bytes));
        const memory = Buffer.alloc(90_000);
        for (let at = 0, i = 0; at < bytes.length; i += 1) {
          const chunk = bytes.subarray(at, at + sizes[i % sizes.length]!);
          at += chunk.length;
          if (how === 'data events') {
            stream.emit('data', chunk);
          } else {
            chunk.copy(memory);
            read(memory.subarray(0, chunk.length));
            memory.fill(0xff);
          }
        }
        expect(Buffer.concat(passed).equals(Buffer.concat(expected.passed))).toBe(true);
        expect(taken.length).toBe(expected.taken.length);
        expect(Buffer.concat(taken).equals(Buffer.concat(expected.taken))).toBe(true);
      }),
      { numRuns: 60 },
    );
  },
);

it('keeps the order of messages, leaves errors to ws, and loses nothing when the end comes at a pause', async () => {
  for (const ending of ['close', 'error'] as const) {
    const pair = await webSocketPair();
    const { far, stop } = pair;
    const { webSocket: near, stream } = pair.near;
    const events: string[] = [];
    let length = 0;
    leadLargeMessages(near, stream, {
      begin: (size) => ((length = size), true),
      take: ({ length: size }) => void (length -= size),
      end: () => void events.push(`large, ${length} left`),
    });
    near.on('message', (data: RawData) => {
      events.push((data as Buffer).toString());
      // What comes after it comes while nobody reads.
      if (events.length === 1) near.pause();
    });
    near.on('error', ({ message }) => events.push(message));
    const closed = new Promise((resolve) => near.once('close', resolve));
    far.webSocket.send('first');
    far.webSocket.send(Buffer.alloc(300_000));
    far.webSocket.send('second');
    far.webSocket.send(Buffer.alloc(100_000));
    if (ending === 'error') {
      // A frame of an opcode that there is not, and a large one that nobody should look at.
      far.stream.write(Buffer.of(0x8b, 0));
      far.webSocket.send(Buffer.alloc(200_000));
    }
    far.webSocket.send('last');
    setTimeout(() => near.resume(), 50);
    if (ending === 'close') far.webSocket.close();
    else setTimeout(() => near.terminate(), 300);
    await closed;
    const before = ['first', 'large, 0 left', 'second', 'large, 0 left'];
    const end = ending === 'close' ? 'last' : 'Invalid WebSocket frame: invalid opcode 11';
    expect(events).toEqual([...before, end]);
    far.webSocket.terminate();
    stop();
  }
});
