import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DataChannelSocket, FRAGMENT, type RawChannel } from './data-channel-socket.js';

/** One end of a channel: what is sent waits until it is carried over. */
class End implements RawChannel {
  readonly wire: Uint8Array[] = [];
  closed = false;
  /** The most bytes that were on the wire at one time. */
  most = 0;

  get bufferedAmount(): number {
    return this.wire.reduce((sum, { length }) => sum + length, 0);
  }
  send(bytes: Uint8Array): void {
    if (this.closed) throw new Error('closed');
    this.wire.push(bytes.slice());
    this.most = Math.max(this.most, this.bufferedAmount);
  }
  close(): void {
    this.closed = true;
  }
}

function pair(maxMessage = 1024 * 1024) {
  const ends = [new End(), new End()] as const;
  const [a, b] = ends.map((end) => new DataChannelSocket(end, maxMessage)) as [
    DataChannelSocket,
    DataChannelSocket,
  ];
  a.opened();
  b.opened();
  /** Carry over all that waits, until nothing more comes. */
  const carry = () => {
    while (ends.some(({ wire }) => wire.length > 0)) {
      for (const bytes of ends[0].wire.splice(0)) b.received(bytes);
      for (const bytes of ends[1].wire.splice(0)) a.received(bytes);
      a.drained();
      b.drained();
    }
  };
  return { a, b, ends, carry };
}

function heard(socket: DataChannelSocket) {
  const messages: (string | Uint8Array)[] = [];
  const closes: { code: number; reason: string }[] = [];
  socket.onmessage = ({ data }) => messages.push(data as string | Uint8Array);
  socket.onclose = ({ code, reason }) => closes.push({ code, reason });
  return { messages, closes };
}

describe('a WebSocket over a data channel', () => {
  it('carries texts and bytes of any size, in order', () => {
    const size = fc.oneof(
      fc.integer({ min: 0, max: 10 }),
      fc.integer({ min: FRAGMENT - 3, max: FRAGMENT + 3 }),
      fc.integer({ min: 0, max: 1024 * 1024 }),
    );
    const message = fc.oneof(
      size.map((length) => new Uint8Array(length).fill(length)),
      fc.string({ unit: 'grapheme', maxLength: 20 }),
    );
    fc.assert(
      fc.property(fc.array(message, { maxLength: 12 }), (messages) => {
        const { a, b, ends, carry } = pair();
        const { messages: found } = heard(b);
        for (const one of messages) a.send(one);
        carry();
        expect(found.length).toBe(messages.length);
        for (const [i, one] of messages.entries()) {
          if (typeof one === 'string') expect(found[i]).toBe(one);
          else expect(Buffer.from(found[i] as Uint8Array).equals(one)).toBe(true);
        }
        expect(a.bufferedAmount).toBe(0);
        expect(ends[0].most).toBeLessThan(2 * 1024 * 1024);
      }),
      { numRuns: 40 },
    );
  });

  it('holds a sender up while the other side does not take what it sends', () => {
    const { a, b, ends, carry } = pair();
    const { messages } = heard(b);
    b.pause();
    const sent: number[] = [];
    for (let i = 0; i < 100; i += 1) a.send(new Uint8Array(256 * 1024), () => sent.push(i));
    carry();
    expect(messages).toEqual([]);
    // Four MiB and not a message more have gone out.
    expect(sent.length).toBeLessThanOrEqual(16);
    expect(a.bufferedAmount).toBeGreaterThan(80 * 256 * 1024);
    b.resume();
    carry();
    expect(messages).toHaveLength(100);
    expect(sent).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(ends[0].bufferedAmount).toBe(0);
  });

  it('says why it ends', () => {
    const { a, b, carry } = pair();
    const [one, other] = [heard(a), heard(b)];
    a.send('last');
    a.close(4401, 'wrong identity');
    carry();
    expect(other.messages).toEqual(['last']);
    expect(other.closes).toEqual([{ code: 4401, reason: 'wrong identity' }]);
    expect(one.closes).toHaveLength(1);
    expect(() => b.send('more')).toThrow();
    // Nothing more is heard of it.
    b.lost('the channel');
    b.received(Uint8Array.of(1, 2, 3));
    expect(other.closes).toHaveLength(1);
  });

  it('ends when the channel does', () => {
    const { a, ends } = pair();
    const { closes } = heard(a);
    const errors: unknown[] = [];
    a.onerror = ({ message }) => errors.push(message);
    ends[0].closed = true;
    a.send('into nothing');
    expect(closes).toEqual([{ code: 1006, reason: 'closed' }]);
    expect(errors).toEqual(['closed']);
  });

  it('ends with who breaks the rules', () => {
    const rogues: [string, (take: (bytes: Uint8Array) => void) => void, number][] = [
      ['an unknown kind', (take) => take(Uint8Array.of(9)), 1002],
      ['nothing at all', (take) => take(new Uint8Array(0)), 1002],
      ['credit for nothing', (take) => take(Uint8Array.of(4, 0, 0, 0, 1)), 1002],
      [
        'a message without end',
        (take) => {
          for (let i = 0; i < 40; i += 1) take(new Uint8Array(FRAGMENT));
        },
        1009,
      ],
      [
        'more than has room',
        (take) => {
          for (let i = 0; i < 200_000; i += 1) take(Uint8Array.of(1));
        },
        1002,
      ],
    ];
    for (const [what, attack, code] of rogues) {
      const { b } = pair();
      const { closes } = heard(b);
      b.pause();
      attack((bytes) => b.received(bytes));
      expect(
        closes.map((one) => one.code),
        what,
      ).toEqual([code]);
    }
  });

  it('never throws, whatever comes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 30 })), (fragments) => {
        const { b } = pair();
        heard(b);
        for (const fragment of fragments) b.received(fragment);
      }),
    );
  });
});
