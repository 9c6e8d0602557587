import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, get } from 'node:https';
import { type Socket, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { type Dialer, silentLogger } from '@granary/kad';
import { Renter, RenterKeys } from '@granary/renter';
import { granaryCommand } from './granary-command.js';
import { Launched } from './launched.js';
import { median } from './median.js';

const FILE_SERVER = new URL('./file-server.js', import.meta.url).pathname;
const SLOW_LINE = new URL('./slow-line.js', import.meta.url).pathname;
const SIZE = 100_000;
/** Milliseconds that a byte takes each way. */
const DELAYS = [0, 25, 100];
/** What is done first, so that code is compiled, connections are open and windows are wide. */
const WARM = 5;
const ROUNDS = 11;

type Line = (host: string, port: number) => Promise<Socket>;

/** Something that is done over a long line, again and again. */
type Act = readonly [name: string, work: () => Promise<unknown>];

/** Connections over a long line. */
function overLine(line: number): Line {
  return (host, port) =>
    new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port: line, noDelay: true });
      socket.once('error', reject);
      socket.once('data', () => resolve(socket));
      socket.write(`${host} ${port}\n`);
    });
}

async function readAll(parts: AsyncIterable<Uint8Array>): Promise<void> {
  let size = 0;
  for await (const part of parts) size += part.length;
  if (size !== SIZE) throw new Error(`${size} bytes came instead of ${SIZE}`);
}

async function* once(content: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(content);
}

/** What a renter does, with connections that are open, and from the opening of a renter on. */
async function granaryActs(directory: string, bootstrap: string, line: Line) {
  const dialer: Dialer = { direct: true, slackMs: 0, dials: () => true, dial: line };
  const keys = RenterKeys.fromEntropy(randomBytes(32));
  const start = () =>
    Renter.open({ directory, keys, bootstrap: [bootstrap], dialer, logger: silentLogger });
  let renter = await start();
  const object = { bucket: 'bench', name: 'object' };
  const put = (name: string) =>
    renter.put({ ...object, name }, { kind: 'stream', stream: once(randomBytes(SIZE)) });
  let others = 0;
  const acts: Act[] = [
    ['put, open connections', () => put(`other-${(others += 1)}`)],
    ['put over an older one, the same', () => put(object.name)],
    ['get, open connections', () => readAll(renter.get(object))],
    [
      'put by a renter just opened',
      async () => {
        await renter.close();
        renter = await start();
        await put(`other-${(others += 1)}`);
      },
    ],
    [
      'get by a renter just opened',
      async () => {
        await renter.close();
        renter = await start();
        await readAll(renter.get(object));
      },
    ],
  ];
  return { acts, close: () => renter.close() };
}

/** An HTTPS server of a file of the same size. */
function httpsActs(port: number, line: Line) {
  let agent: Agent;
  const renew = async () => {
    agent?.destroy();
    agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const socket = await line('127.0.0.1', port);
    agent.createConnection = () => connectTls({ socket, rejectUnauthorized: false });
  };
  const read = () =>
    new Promise<void>((resolve, reject) => {
      const request = get(`https://127.0.0.1:${port}/`, { agent }, (response) => {
        readAll(response).then(resolve, reject);
      });
      request.once('error', reject);
    });
  const acts: Act[] = [
    ['HTTPS get, an open connection', read],
    ['HTTPS get, a new connection', () => renew().then(read)],
  ];
  return { acts, renew, close: () => agent.destroy() };
}

/**
 * What a small object takes where farmers are far: the time of each act at several lengths of a line, and how many round
 * trips that is; beside a plain HTTPS server over the same line. 100 kB, on 12 farmer processes.
 */
export async function benchRoundTrips(report: (line: string) => void): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'granary-bench-far-'));
  const launched = new Launched();
  try {
    const network = [...granaryCommand, 'network', '--json', '--dir', join(directory, 'network')];
    const { bootstrap } = JSON.parse(await launched.start(network)) as { bootstrap: string };
    const file = join(directory, 'file');
    await writeFile(file, randomBytes(SIZE));
    const server = Number(await launched.start([FILE_SERVER, file]));
    const times = new Map<string, number[]>();
    for (const delay of DELAYS) {
      const line = overLine(Number(await launched.start([SLOW_LINE, String(delay)])));
      const ours = await granaryActs(join(directory, `renter-${delay}`), bootstrap, line);
      const theirs = httpsActs(server, line);
      await theirs.renew();
      for (const [name, work] of [...ours.acts, ...theirs.acts]) {
        const all: number[] = [];
        for (let i = 0; i < WARM + ROUNDS; i += 1) {
          const begun = performance.now();
          await work();
          if (i >= WARM) all.push(performance.now() - begun);
        }
        times.set(name, [...(times.get(name) ?? []), median(all)]);
      }
      await ours.close();
      theirs.close();
    }
    const trips = DELAYS.map((delay) => `${2 * delay} ms`).join(', ');
    report(`${SIZE / 1000} kB over lines with round trips of ${trips}; medians of ${ROUNDS}`);
    for (const [name, all] of times) {
      const slope = (all.at(-1)! - all[0]!) / (2 * (DELAYS.at(-1)! - DELAYS[0]!));
      const shown = all.map((ms) => `${ms.toFixed(0).padStart(6)} ms`).join('');
      report(`  ${name.padEnd(32)}${shown}  ${slope.toFixed(1)} round trips`);
    }
  } finally {
    await launched.end();
    await rm(directory, { recursive: true, force: true });
  }
}
