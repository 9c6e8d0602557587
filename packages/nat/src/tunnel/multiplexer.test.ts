import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { systemClock } from '@granary/kad';
import type { NatError } from '../errors.js';
import { FrameFlag, FrameType, encodeFrame } from './mux-frame.js';
import { STREAM_WINDOW } from './mux-stream.js';
import { Multiplexer, type MultiplexerOptions } from './multiplexer.js';

const cleanups: (() => unknown)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

/** Two ends of a WebSocket over loopback. */
async function sockets(): Promise<{ client: WebSocket; server: WebSocket }> {
  const http = createServer().listen(0, '127.0.0.1');
  const sockets = new WebSocketServer({ server: http, perMessageDeflate: false });
  await once(http, 'listening');
  const { port } = http.address() as AddressInfo;
  const client = new WebSocket(`ws://127.0.0.1:${port}`);
  const [server] = (await once(sockets, 'connection')) as [WebSocket];
  if (client.readyState !== WebSocket.OPEN) await once(client, 'open');
  cleanups.push(() => {
    client.terminate();
    server.terminate();
    http.close();
  });
  return { client, server };
}

interface End {
  readonly mux: Multiplexer;
  readonly streams: Duplex[];
  readonly closed: Promise<NatError>;
}

function end(socket: WebSocket, opener: boolean, more: Partial<MultiplexerOptions> = {}): End {
  const streams: Duplex[] = [];
  let settle!: (error: NatError) => void;
  const closed = new Promise<NatError>((resolve) => (settle = resolve));
  const mux = new Multiplexer(socket, opener, {
    clock: systemClock,
    maxStreams: 8,
    pingMs: 60_000,
    pongMs: 60_000,
    onText: () => undefined,
    onClose: settle,
    ...(!opener && { onStream: (stream: Duplex) => streams.push(stream) }),
    ...more,
  });
  cleanups.push(() => mux.close());
  return { mux, streams, closed };
}

async function pair(): Promise<{ opener: End; taker: End }> {
  const { client, server } = await sockets();
  return { opener: end(client, true), taker: end(server, false) };
}

/** Read to the end, without closing the other half. */
async function readAll(stream: Duplex): Promise<Buffer> {
  const parts: Buffer[] = [];
  stream.on('data', (part: Buffer) => parts.push(part));
  await once(stream, 'end');
  return Buffer.concat(parts);
}

/** The one end, and a raw WebSocket at the other that does as it likes. */
async function against(opener: boolean, more: Partial<MultiplexerOptions> = {}) {
  const { client, server } = await sockets();
  return { raw: client, ...end(server, opener, more) };
}

describe('the multiplexer', () => {
  it('carries bytes both ways on many streams, and half-closes', async () => {
    const { opener, taker } = await pair();
    const bytes = Array.from({ length: 5 }, (_, i) => Buffer.alloc(1_500_000 + i, `stream ${i}`));
    const sent = bytes.map((one) => {
      const stream = opener.mux.open();
      stream.end(one);
      return stream;
    });
    await expect.poll(() => taker.streams.length).toBe(5);
    const got = await Promise.all(taker.streams.map(readAll));
    expect(got.map((one, i) => one.equals(bytes[i]!))).toEqual([true, true, true, true, true]);
    // The other half is still open.
    taker.streams[0]!.end('answer');
    expect((await readAll(sent[0]!)).toString()).toBe('answer');
    for (const stream of taker.streams) stream.end();
    for (const stream of sent) stream.resume();
    await expect.poll(() => [opener.mux.size, taker.mux.size]).toEqual([0, 0]);
  });

  it('lets a slow reader hold up itself alone, with bounded memory', async () => {
    const { opener, taker } = await pair();
    const slow = opener.mux.open();
    const fast = opener.mux.open();
    let accepted = 0;
    const chunk = Buffer.alloc(64 * 1024);
    const pour = () => {
      while (accepted < 16_000_000 && slow.write(chunk)) accepted += chunk.length;
      slow.once('drain', pour);
    };
    pour();
    fast.end(Buffer.alloc(4_000_000, 'fast'));
    await expect.poll(() => taker.streams.length).toBe(2);
    expect((await readAll(taker.streams[1]!)).length).toBe(4_000_000);
    expect(taker.streams[0]!.readableLength).toBeLessThanOrEqual(STREAM_WINDOW);
    expect(accepted).toBeLessThan(STREAM_WINDOW + 1_000_000);
  });

  it('goes on when a reader that let its window fill up reads again, in whatever way', async () => {
    const { opener, taker } = await pair();
    for (const way of ['flowing', 'iterated'] as const) {
      const stream = opener.mux.open();
      stream.end(Buffer.alloc(3_000_000, way));
      await expect.poll(() => taker.streams.length).toBe(1);
      const [reader] = taker.streams.splice(0);
      await expect.poll(() => reader!.readableLength).toBeGreaterThanOrEqual(256 * 1024);
      let size = 0;
      if (way === 'iterated') for await (const part of reader!) size += (part as Buffer).length;
      else size = (await readAll(reader!)).length;
      expect(size, way).toBe(3_000_000);
    }
  });

  it('tells the other side of a stream that was broken off, and of its own end', async () => {
    const { opener, taker } = await pair();
    const stream = opener.mux.open();
    stream.write('x');
    await expect.poll(() => taker.streams.length).toBe(1);
    const broken = once(taker.streams[0]!, 'close');
    stream.destroy();
    await broken;
    const other = opener.mux.open();
    const gone = once(other, 'close');
    await expect.poll(() => taker.streams.length).toBe(2);
    taker.mux.close();
    await gone;
    expect((await opener.closed).code).toBe('NAT_TUNNEL_CLOSED');
    expect(() => opener.mux.open()).toThrow(/closed/);
  });

  it('notices a side that is there and does not answer', async () => {
    const { closed, raw } = await against(true, { pingMs: 50, pongMs: 100 });
    raw.on('message', () => undefined);
    expect((await closed).message).toMatch(/does not answer/);
  });

  it('cuts off whoever breaks the rules', async () => {
    const syn = (id: number) => encodeFrame(FrameType.windowUpdate, FrameFlag.syn, id, 0);
    const data = (id: number, size: number) =>
      encodeFrame(FrameType.data, 0, id, size, Buffer.alloc(size));
    const cases: [string, boolean, Buffer[], RegExp][] = [
      ['a stream that may not be opened', true, [syn(2)], /may not open/],
      ['a number of ours', false, [syn(2)], /wrong number/],
      ['a number twice', false, [syn(3), syn(3)], /wrong number/],
      [
        'streams without end',
        false,
        [...Array(9).keys()].map((i) => syn(1 + 2 * i)),
        /more streams/,
      ],
      [
        'more than its window',
        false,
        [syn(1), ...Array.from({ length: 9 }, () => data(1, 65_536))],
        /more than it was allowed/,
      ],
      [
        'a window beyond all bounds',
        false,
        [syn(1), encodeFrame(1, 0, 1, 0xffff_ffff)],
        /beyond all bounds/,
      ],
      [
        'data after the end',
        false,
        [syn(1), encodeFrame(0, FrameFlag.fin, 1, 0), data(1, 1)],
        /allowed/,
      ],
      ['rubbish', false, [Buffer.from('rubbish')], /frame/],
    ];
    for (const [name, opener, frames, message] of cases) {
      const { raw, closed } = await against(opener);
      for (const frame of frames) raw.send(frame);
      const reason = await closed;
      expect(reason.message, name).toMatch(message);
      expect(reason.code, name).toBe('NAT_TUNNEL_PROTOCOL');
    }
  });

  it('cuts off whoever floods it with frames that carry nothing', async () => {
    // A clock that stands still: however slow the machine is, it all comes at one time.
    const { raw, closed } = await against(false, { clock: { ...systemClock, now: () => 0 } });
    const ping = encodeFrame(FrameType.ping, FrameFlag.syn, 0, 1);
    for (let i = 0; i < 25_000; i += 1) raw.send(ping);
    expect((await closed).message).toMatch(/carry nothing/);
  });

  it('drops what comes late for a stream that has ended', async () => {
    const { raw, closed, streams, mux } = await against(false);
    raw.send(encodeFrame(FrameType.windowUpdate, FrameFlag.syn, 1, 0));
    await expect.poll(() => streams.length).toBe(1);
    streams[0]!.destroy();
    raw.send(encodeFrame(FrameType.data, 0, 1, 3, Buffer.from('abc')));
    raw.send(encodeFrame(FrameType.windowUpdate, FrameFlag.syn, 3, 0));
    await expect.poll(() => streams.length).toBe(2);
    expect(mux.size).toBe(1);
    mux.close();
    await closed;
  });
});
