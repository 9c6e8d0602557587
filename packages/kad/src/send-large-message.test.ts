import fc from 'fast-check';
import { expect, it } from 'vitest';
import { LEAST_LARGE } from './frame-header.js';
import { sendLargeMessage } from './send-large-message.js';
import { type WebSocketEnd, webSocketPair } from './websocket-pair.test-support.js';

const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

it('sends messages of any size in their turn, from either end', async () => {
  const { near, far, stop } = await webSocketPair();
  const sizes = fc.oneof(
    fc.nat({ max: 130 }),
    fc.integer({ min: LEAST_LARGE - 3, max: LEAST_LARGE + 3 }),
    fc.integer({ min: LEAST_LARGE, max: 900_000 }),
  );
  const messages = fc.array(fc.record({ size: sizes, large: fc.boolean() }), {
    minLength: 1,
    maxLength: 8,
  });
  const exchange = async (
    from: WebSocketEnd,
    to: WebSocketEnd,
    masked: boolean,
    sent: readonly { size: number; large: boolean }[],
  ) => {
    const came: Buffer[] = [];
    const all = new Promise<void>((resolve) => {
      to.webSocket.removeAllListeners('message');
      to.webSocket.on('message', (data: Buffer) => {
        came.push(data);
        if (came.length === sent.length) resolve();
      });
    });
    const payloads = sent.map(({ size }, i) => Buffer.alloc(size, i + 1));
    const done = sent.map(
      ({ large }, i) =>
        new Promise<Error | undefined>((resolve) => {
          const { webSocket, stream } = from;
          if (large) sendLargeMessage(webSocket, stream, payloads[i]!, masked, resolve);
          else webSocket.send(payloads[i]!, (error) => resolve(error ?? undefined));
        }),
    );
    await all;
    expect(came.every((data, i) => same(data, payloads[i]!))).toBe(true);
    expect(await Promise.all(done)).toEqual(sent.map(() => undefined));
  };
  await fc.assert(
    fc.asyncProperty(messages, async (sent) => {
      await exchange(near, far, true, sent);
      await exchange(far, near, false, sent);
    }),
    { numRuns: 20 },
  );
  near.webSocket.terminate();
  stop();
});

it('says that a message will never go out', async () => {
  const { near, far, stop } = await webSocketPair();
  // Nobody reads it.
  far.webSocket.pause();
  const send = () =>
    new Promise((resolve) =>
      sendLargeMessage(near.webSocket, near.stream, Buffer.alloc(900_000), true, resolve),
    );
  const under = Array.from({ length: 20 }, send);
  setTimeout(() => near.webSocket.terminate(), 20);
  const results = await Promise.all(under);
  expect(results.at(-1)).toBeInstanceOf(Error);
  expect(await send()).toBeInstanceOf(Error);
  far.webSocket.terminate();
  stop();
});
