import { randomBytes, randomInt } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { Agent, get } from 'node:https';
import { Socket, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { type Dialer, directDialer, silentLogger } from '@granary/kad';
import { Renter, RenterKeys } from '@granary/renter';
import { granaryCommand } from './granary-command.js';
import { Launched } from './launched.js';
import { median } from './median.js';

const FILE_SERVER = new URL('./file-server.js', import.meta.url).pathname;
const MIB = 1024 * 1024;
const ROUNDS = 11;
const RANGES = 20;
const LENGTHS = [1, 1024, 4096, 16_384, 65_536, 262_144, MIB, 8 * MIB];
/** Until what was cancelled has stopped coming in. */
const SETTLE_MS = 200;

const sizeName = (size: number) =>
  size >= MIB ? `${size / MIB} MiB` : size >= 1024 ? `${size / 1024} KiB` : `${size} B`;

/** Connections whose bytes are counted as they come from the network, TLS and all. */
class CountedSockets {
  private readonly sockets = new Set<Socket>();

  add(socket: Socket): void {
    this.sockets.add(socket);
  }

  get bytesRead(): number {
    let sum = 0;
    for (const { bytesRead } of this.sockets) sum += bytesRead;
    return sum;
  }
}

/** Someone who can read ranges of the objects. */
interface Reader {
  readonly name: string;
  /** Open connections anew. */
  reconnect(): Promise<void>;
  /** Read a range; milliseconds until its first byte, and until its last. */
  read(name: string, offset: number, length?: number): Promise<{ first: number; all: number }>;
  /** Bytes that came over its connections. */
  received(): number;
  close(): Promise<void>;
}

/** Random bytes, written piece by piece. */
async function writeRandom(path: string, size: number): Promise<void> {
  const file = await open(path, 'wx');
  for (let at = 0; at < size; at += MIB) await file.write(randomBytes(Math.min(MIB, size - at)));
  await file.close();
}

async function timedRead(
  parts: AsyncIterable<Uint8Array>,
  expected: number,
  begun: number,
): Promise<{ first: number; all: number }> {
  let first: number | undefined;
  let size = 0;
  for await (const part of parts) {
    first ??= performance.now() - begun;
    size += part.length;
    // Of a whole object only the first bytes are asked.
    if (expected === Infinity) break;
  }
  if (first === undefined || (expected !== Infinity && size !== expected)) {
    throw new Error(`${size} bytes came instead of ${expected}`);
  }
  return { first, all: performance.now() - begun };
}

async function granaryReader(directory: string, bootstrap: string) {
  const keys = RenterKeys.fromEntropy(randomBytes(32));
  const sockets = new CountedSockets();
  const dialer: Dialer = {
    ...directDialer,
    dial: async (host, port, limits) => {
      const socket = await directDialer.dial(host, port, limits);
      if (socket instanceof Socket) sockets.add(socket);
      return socket;
    },
  };
  const start = () =>
    Renter.open({ directory, keys, bootstrap: [bootstrap], dialer, logger: silentLogger });
  let renter = await start();
  const put = (name: string, path: string) =>
    renter.put({ bucket: 'bench', name }, { kind: 'file', path });
  const reader: Reader = {
    name: 'granary',
    reconnect: async () => {
      await renter.close();
      renter = await start();
    },
    read: (name, offset, length) => {
      const begun = performance.now();
      const range = length === undefined ? {} : { length };
      const parts = renter.get({ bucket: 'bench', name }, { offset, ...range });
      return timedRead(parts, length ?? Infinity, begun);
    },
    received: () => sockets.bytesRead,
    close: () => renter.close(),
  };
  return { put, reader };
}

function httpsReader(ports: ReadonlyMap<string, number>): Reader {
  const sockets = new CountedSockets();
  const newAgent = () => {
    const agent = new Agent({ keepAlive: true });
    agent.createConnection = ({ port }) => {
      const socket = connect({ host: '127.0.0.1', port: Number(port) });
      sockets.add(socket);
      return connectTls({ socket, rejectUnauthorized: false });
    };
    return agent;
  };
  let agent = newAgent();
  return {
    name: 'https',
    reconnect: () => {
      agent.destroy();
      agent = newAgent();
      return Promise.resolve();
    },
    read: async (name, offset, length) => {
      const begun = performance.now();
      const headers =
        length === undefined ? {} : { range: `bytes=${offset}-${offset + length - 1}` };
      const url = `https://127.0.0.1:${ports.get(name)}/`;
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        get(url, { agent, headers }, resolve).once('error', reject);
      });
      return timedRead(response, length ?? Infinity, begun);
    },
    received: () => sockets.bytesRead,
    close: () => {
      agent.destroy();
      return Promise.resolve();
    },
  };
}

/**
 * The time until the first byte of an object, and what reading a range costs in time and in bytes from the
 * network, beside a plain HTTPS server of the same files. 1 MiB, and 1 GiB or as many MiB as
 * GRANARY_BENCH_MIB names; on 12 farmer processes.
 */
export async function benchFirstByte(report: (line: string) => void): Promise<void> {
  const large = Number(process.env['GRANARY_BENCH_MIB'] ?? '1024') * MIB;
  const directory = await mkdtemp(join(tmpdir(), 'granary-bench-first-'));
  const launched = new Launched();
  const readers: Reader[] = [];
  try {
    const network = [...granaryCommand, 'network', '--json', '--dir', join(directory, 'network')];
    const { bootstrap } = JSON.parse(await launched.start(network)) as { bootstrap: string };
    const ours = await granaryReader(join(directory, 'renter'), bootstrap);
    readers.push(ours.reader);
    const ports = new Map<string, number>();
    const objects: [string, number][] = [
      ['small', MIB],
      ['large', large],
    ];
    for (const [name, size] of objects) {
      const path = join(directory, name);
      await writeRandom(path, size);
      await ours.put(name, path);
      ports.set(name, Number(await launched.start([FILE_SERVER, path])));
      // Both have the file in memory when they are asked.
      for await (const part of createReadStream(path)) void part;
    }
    readers.push(httpsReader(ports));
    report(`first byte, milliseconds, median of ${ROUNDS}; in brackets the 90th percentile`);
    for (const [name, size] of objects) {
      for (const reader of readers) {
        const cold: number[] = [];
        const warm: number[] = [];
        for (let i = 0; i < ROUNDS; i += 1) {
          await reader.reconnect();
          cold.push((await reader.read(name, 0)).first);
          // Who stops reading in the middle may have to close its connection.
          await reader.read(name, 0, 1);
          warm.push((await reader.read(name, 0)).first);
        }
        const show = (values: number[]) => {
          const late = [...values].sort((a, b) => a - b)[Math.floor(ROUNDS * 0.9)]!;
          return `${median(values).toFixed(1).padStart(7)} (${late.toFixed(1)})`;
        };
        report(
          `  ${sizeName(size).padStart(8)}  ${reader.name.padEnd(8)} new connections ${show(cold)}, open ones ${show(warm)}`,
        );
      }
    }
    report(
      `\nranges of the ${sizeName(large)} at random places, ${RANGES} of each length, one at a time`,
    );
    for (const length of LENGTHS.filter((one) => one < large)) {
      const line: string[] = [];
      const times: number[] = [];
      for (const reader of readers) {
        const offsets = Array.from({ length: RANGES }, () => randomInt(large - length));
        // Connections to whoever will be asked are open.
        for (const offset of offsets.slice(0, 3)) await reader.read('large', offset, length);
        await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
        const before = reader.received();
        const all: number[] = [];
        for (const offset of offsets) all.push((await reader.read('large', offset, length)).all);
        await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
        const received = (reader.received() - before) / RANGES;
        times.push(median(all));
        line.push(
          `${reader.name} ${median(all).toFixed(1).padStart(7)} ms, ${received.toFixed(0).padStart(8)} bytes in, ${(received / length).toFixed(2).padStart(8)} per byte asked`,
        );
      }
      report(
        `  ${sizeName(length).padStart(8)}  ${line.join(' | ')} | time is ${(times[0]! / times[1]!).toFixed(1)} times`,
      );
    }
  } finally {
    for (const reader of readers) await reader.close();
    await launched.end();
    await rm(directory, { recursive: true, force: true });
  }
}
