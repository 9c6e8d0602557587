import { spawn, type ChildProcess } from 'node:child_process';
import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';
import { silentLogger } from '@granary/kad';
import { Renter, RenterKeys } from '@granary/renter';

const GRANARY = new URL('../../packages/cli/bin/granary.mjs', import.meta.url).pathname;
const WS_PEER = new URL('./ws-peer.js', import.meta.url).pathname;
const SIZE = 128 * 1024 * 1024;
const ROUNDS = 3;

const median = (values: number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
const rate = (bytes: number, ms: number) => `${(bytes / 1000 / ms).toFixed(0)} MB/s`;

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`a process ended with ${code}`)));
    createInterface({ input: child.stdout! }).once('line', resolve);
  });
}

/** Copy bytes to another process through a plain `ws` socket, and back. */
async function throughSocket(port: number, data: Buffer, direction: 'up' | 'down'): Promise<void> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/${direction}?${data.length}`, {
    perMessageDeflate: false,
  });
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  const done = new Promise<void>((resolve, reject) => {
    let received = 0;
    socket.on('message', (part: Buffer, isBinary) => {
      received += part.length;
      if (!isBinary || received === data.length) resolve();
    });
    socket.once('close', () => reject(new Error('closed early')));
  });
  if (direction === 'up') {
    for (let at = 0; at < data.length; at += 262_144) {
      const sent = new Promise<void>((resolve) =>
        socket.send(data.subarray(at, at + 262_144), () => resolve()),
      );
      if (socket.bufferedAmount > 1_048_576) await sent;
    }
  }
  await done;
  socket.terminate();
}

/** Put and get of one object on 12 farmer processes, beside the same bytes through plain sockets. */
export async function benchTransfers(report: (line: string) => void): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'granary-bench-'));
  const data = randomBytes(SIZE);
  const network = spawn(process.execPath, [GRANARY, 'network', '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const peer = spawn(process.execPath, [WS_PEER], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const { bootstrap } = JSON.parse(await firstLine(network)) as { bootstrap: string };
    const port = Number(await firstLine(peer));
    const source = join(directory, 'source');
    await writeFile(source, data);
    const renter = await Renter.open({
      directory: join(directory, 'renter'),
      keys: RenterKeys.fromEntropy(randomBytes(32)),
      bootstrap: [bootstrap],
      logger: silentLogger,
    });
    const times: Record<string, number[]> = {};
    const measure = async (name: string, work: () => Promise<unknown>) =>
      (times[name] ??= []).push(await timed(work));
    const path = { bucket: 'bench', name: 'object' };
    for (let round = 0; round < ROUNDS; round += 1) {
      await measure('plain ws, to another process', () => throughSocket(port, data, 'up'));
      await measure('put, 4/6/10/12 on 12 farmers', () =>
        renter.put(path, { kind: 'file', path: source }),
      );
      await measure('plain ws, from another process', () => throughSocket(port, data, 'down'));
      await measure('get', async () => {
        let size = 0;
        for await (const part of renter.get(path)) size += part.length;
        if (size !== SIZE) throw new Error('the get was short');
      });
      await measure('AES-256-GCM alone', () => {
        const key = randomBytes(32);
        for (let at = 0; at < SIZE; at += 65_520) {
          const cipher = createCipheriv('aes-256-gcm', key, randomBytes(12));
          cipher.update(data.subarray(at, at + 65_520));
          cipher.final();
        }
        return Promise.resolve();
      });
      await measure('SHA-256 alone', () => {
        for (let at = 0; at < SIZE; at += 65_536) {
          createHash('sha256')
            .update(data.subarray(at, at + 65_536))
            .digest();
        }
        return Promise.resolve();
      });
    }
    await renter.close();
    report(`object of ${SIZE / 1024 / 1024} MiB, median of ${ROUNDS} rounds, all in one run`);
    for (const [name, all] of Object.entries(times)) {
      report(`  ${name.padEnd(34)} ${rate(SIZE, median(all)).padStart(10)}`);
    }
    const of = (name: string) => median(times[name]!);
    const up = of('plain ws, to another process') / of('put, 4/6/10/12 on 12 farmers');
    const down = of('plain ws, from another process') / of('get');
    report(
      `  put moves three bytes for each of the object's; put / plain ws = ${up.toFixed(2)}, with the`,
    );
    report(`  expansion counted ${(3 * up).toFixed(2)}; get / plain ws = ${down.toFixed(2)}`);
  } finally {
    peer.kill();
    network.kill('SIGTERM');
    await new Promise((resolve) => network.once('exit', resolve));
    await rm(directory, { recursive: true, force: true });
  }
}
