import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { expect, it } from 'vitest';
import { MemoryBackend, TestBridge, signHeaders } from '../s3/bridge.test-support.js';

const MIB = 1024 * 1024;

/** Stores nothing, and takes bytes only once the gate is open: farmers that are slow. */
class GatedBackend extends MemoryBackend {
  taken = 0;
  private open: (() => void) | undefined;
  private readonly gate = new Promise<void>((resolve) => (this.open = resolve));

  override async put(_contentId: string, stream: AsyncIterable<Uint8Array>, signal: AbortSignal) {
    const stopped = new Promise<never>((_, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason as Error)),
    );
    stopped.catch(() => undefined);
    await Promise.race([this.gate, stopped]);
    for await (const part of stream) this.taken += part.length;
    return { size: this.taken };
  }

  release(): void {
    this.open!();
  }
}

/** Send a body of zeros; what became of it, and how much of it has left so far. */
function upload(bridge: TestBridge, target: string, size: number) {
  const fields = {
    host: `127.0.0.1:${bridge.port}`,
    'content-length': String(size),
    'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
  };
  const { credentials } = bridge.owner;
  const signed = signHeaders('PUT', target, fields, Buffer.alloc(0), credentials, Date.now());
  const sent = httpRequest({
    host: '127.0.0.1',
    port: bridge.port,
    method: 'PUT',
    path: target,
    headers: { ...fields, ...signed },
    agent: false,
  });
  const piece = Buffer.alloc(MIB);
  let left = size;
  const write = (): void => {
    while (left > 0) {
      left -= piece.length;
      if (!sent.write(piece)) return void sent.once('drain', write);
    }
    sent.end();
  };
  write();
  const outcome = new Promise<number | string>((resolve) => {
    sent.once('response', (response) => {
      response.resume();
      resolve(response.statusCode!);
    });
    sent.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
  return { outcome, away: () => sent.socket?.bytesWritten ?? 0 };
}

async function settled(figure: () => number): Promise<number> {
  for (let last = -1; ;) {
    if (figure() === last && last > 0) return last;
    last = figure();
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

it('while farmers are slow no more is taken from the client than the way there holds', async () => {
  const backend = new GatedBackend();
  const bridge = await TestBridge.start({ backend });
  try {
    await bridge.raw({ method: 'PUT', target: '/slow' });
    const { outcome, away } = upload(bridge, '/slow/object', 64 * MIB);
    // What is in sockets' buffers, in the kernel and in Node, is all.
    expect(await settled(away)).toBeLessThan(32 * MIB);
    expect(backend.taken).toBe(0);
    backend.release();
    expect(await outcome).toBe(200);
    expect(backend.taken).toBe(64 * MIB);
  } finally {
    await bridge.stop();
  }
});

it('a bridge that is told to stop waits for requests no longer than it may', async () => {
  const backend = new GatedBackend();
  const bridge = await TestBridge.start({ backend });
  await bridge.raw({ method: 'PUT', target: '/slow' });
  const { outcome, away } = upload(bridge, '/slow/object', 4 * MIB);
  await settled(away);
  await bridge.bridge.close(100);
  expect([503, 'ECONNRESET', 'EPIPE']).toContain(await outcome);
  // Nothing of it is there.
  expect(await bridge.metadata.version('slow', 'object')).toBeUndefined();
  expect(await bridge.metadata.garbageContents(10)).toHaveLength(1);
  await bridge.stop();
});

it('a client that takes nothing of its answer is given up', async () => {
  const bridge = await TestBridge.start({ serverLimits: { stallMs: 300 } });
  try {
    await bridge.raw({ method: 'PUT', target: '/stall' });
    await bridge.raw({ method: 'PUT', target: '/stall/big', body: Buffer.alloc(32 * MIB) });
    const fields = { host: `127.0.0.1:${bridge.port}` };
    const { credentials } = bridge.owner;
    const signed = signHeaders(
      'GET',
      '/stall/big',
      fields,
      Buffer.alloc(0),
      credentials,
      Date.now(),
    );
    const head = Object.entries({ ...fields, ...signed }).map((field) => field.join(': '));
    const socket = connect(bridge.port, '127.0.0.1');
    socket.write(`GET /stall/big HTTP/1.1\r\n${head.join('\r\n')}\r\n\r\n`);
    socket.on('error', () => undefined);
    // Read only once the bridge has long had enough.
    let received = 0;
    await new Promise((resolve) => setTimeout(resolve, 1500));
    socket.on('data', (part) => (received += part.length));
    await new Promise((resolve) => socket.once('close', resolve));
    expect(received).toBeLessThan(32 * MIB);
  } finally {
    await bridge.stop();
  }
});

it('is ready as long as its stores are, and says so to who asks', async () => {
  const bridge = await TestBridge.start();
  try {
    const ask = async (target: string) =>
      (await bridge.raw({ target, as: null })).body.toString().trim();
    expect(await ask('/ready')).toBe('{"status":"ready"}');
    bridge.backend.failure = new Error('no farmers');
    expect((await bridge.raw({ target: '/ready', as: null })).status).toBe(503);
    // The reasons are for the log.
    expect(await ask('/ready')).toBe('{"status":"not ready"}');
    expect(await ask('/health')).toBe('{"status":"ok"}');
    bridge.backend.failure = undefined;
    await bridge.metadata.close();
    expect((await bridge.raw({ target: '/ready', as: null })).status).toBe(503);
    expect(await ask('/health')).toBe('{"status":"ok"}');
  } finally {
    await bridge.stop();
  }
});
