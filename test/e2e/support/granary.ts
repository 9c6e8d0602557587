import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { get } from 'node:https';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** The built command, as a user runs it. */
export const GRANARY = new URL('../../../packages/cli/bin/granary.mjs', import.meta.url).pathname;

/** What a finished command left. */
export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** How to run a command. */
export interface RunOptions {
  readonly home?: string;
  readonly env?: Record<string, string>;
  readonly input?: Uint8Array;
  readonly uid?: number;
  /** Called with the process as soon as it runs. */
  readonly onStart?: (child: ChildProcess) => void;
}

/** Run `granary` with arguments until it ends. */
export function granary(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [GRANARY, ...args], {
      env: {
        ...process.env,
        GRANARY_HOME: options.home ?? '/nonexistent',
        GRANARY_BOOTSTRAP: '',
        ...options.env,
      },
      ...(options.uid !== undefined && { uid: options.uid, gid: options.uid }),
    });
    const out: Buffer[] = [];
    let stderr = '';
    child.stdout.on('data', (data: Buffer) => out.push(data));
    child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
    child.once('error', reject);
    child.once('close', (code, signal) =>
      resolve({ code, signal, stdout: Buffer.concat(out), stderr }),
    );
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input);
    options.onStart?.(child);
  });
}

/** When a process is to send itself a signal: see `end-itself.mjs`. */
export interface EndItself {
  readonly folders: readonly string[];
  readonly prefix?: string;
  readonly files?: number;
  readonly bytes?: number;
  readonly signal: NodeJS.Signals;
}

/** The environment of a process that sends itself a signal as soon as files are there, and never later. */
export function endItself(when: EndItself): Record<string, string> {
  const preload = new URL('./end-itself.mjs', import.meta.url).href;
  return { NODE_OPTIONS: `--import=${preload}`, END_ITSELF: JSON.stringify(when) };
}

/** Run `granary` and parse its one JSON line; fails when it does. */
export async function granaryJson<T>(args: readonly string[], home: string): Promise<T> {
  const { code, stdout, stderr } = await granary([...args, '--json'], { home });
  if (code !== 0) throw new Error(`granary ${args.join(' ')} ended with ${code}: ${stderr}`);
  return JSON.parse(stdout.toString()) as T;
}

/** A farmer process of a test. */
export interface FarmerProcess {
  readonly nodeId: string;
  readonly address: string;
  /** Where renters in browsers reach it; empty without `--browser-port`. */
  readonly browsers: readonly string[];
  /** Where it serves the app; null without `--app`. */
  readonly app: string | null;
  readonly directory: string;
  readonly port: number;
  child: ChildProcess;
}

/** A network of farmer processes, started one by one, so that a test can kill and restart each. */
export class TestNetwork {
  readonly farmers: FarmerProcess[] = [];

  private constructor(
    readonly directory: string,
    readonly home: string,
    private readonly extra: readonly string[],
  ) {}

  /** Start `count` farmers and make a renter's home that knows them. */
  static async start(count: number, extra: readonly string[] = []): Promise<TestNetwork> {
    const directory = await mkdtemp(join(tmpdir(), 'granary-e2e-'));
    const network = new TestNetwork(directory, join(directory, 'renter'), extra);
    await network.addFarmer();
    await Promise.all(Array.from({ length: count - 1 }, () => network.addFarmer()));
    const { code, stderr } = await granary(['init', '--json'], { home: network.home });
    if (code !== 0) throw new Error(stderr);
    await network.configure();
    return network;
  }

  /** Write the renter's configuration: bootstrap at the first three farmers. */
  async configure(): Promise<void> {
    const bootstrap = this.farmers.slice(0, 3).map(({ address }) => address);
    await writeFile(join(this.home, 'config.json'), JSON.stringify({ bootstrap }));
  }

  async addFarmer(extra: readonly string[] = this.extra, port = 0): Promise<FarmerProcess> {
    const directory = join(
      this.directory,
      `farmer-${this.farmers.length}-${Math.random().toString(36).slice(2)}`,
    );
    const started = await startFarmer(
      directory,
      port,
      this.farmers.slice(0, 1).map((f) => f.address),
      extra,
    );
    this.farmers.push(started);
    return started;
  }

  /** Start all that do not run: at the beginning of a test, those that its first try left dead. */
  async reviveAll(): Promise<void> {
    for (const farmer of this.farmers) if (!isRunning(farmer.child)) await this.restart(farmer);
  }

  /** Start a farmer that was killed again, on its directory and port. */
  async restart(farmer: FarmerProcess, extra: readonly string[] = this.extra): Promise<void> {
    const others = this.farmers.filter((other) => other !== farmer && isRunning(other.child));
    const bootstrap = others.slice(0, 2).map(({ address }) => address);
    const again = await startFarmer(farmer.directory, farmer.port, bootstrap, extra);
    farmer.child = again.child;
  }

  farmer(nodeId: string): FarmerProcess {
    const found = this.farmers.find((farmer) => farmer.nodeId === nodeId);
    if (found === undefined) throw new Error(`no farmer ${nodeId}`);
    return found;
  }

  /** Stop everything and remove the data. */
  async stop(): Promise<void> {
    await Promise.all(this.farmers.map((farmer) => kill(farmer, 'SIGKILL')));
    await rm(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

/** Kill a farmer and wait until it is gone. */
export async function kill(
  farmer: FarmerProcess,
  signal: NodeJS.Signals = 'SIGKILL',
): Promise<void> {
  if (!isRunning(farmer.child)) return;
  const gone = new Promise((resolve) => farmer.child.once('exit', resolve));
  farmer.child.kill(signal);
  await gone;
}

function startFarmer(
  directory: string,
  port: number,
  bootstrap: readonly string[],
  extra: readonly string[],
): Promise<FarmerProcess> {
  const args = ['farm', '--json', '--data', directory, '--port', String(port)];
  args.push('--log-level', 'error', ...bootstrap.flatMap((a) => ['--bootstrap', a]), ...extra);
  const child = spawn(process.execPath, [GRANARY, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, GRANARY_HOME: '/nonexistent', GRANARY_BOOTSTRAP: '' },
  });
  let stderr = '';
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`a farmer ended with ${code}: ${stderr}`)));
    createInterface({ input: child.stdout }).once('line', (line) => {
      const { nodeId, address, browsers, app } = JSON.parse(line) as FarmerProcess;
      const { port: own } = new URL(address);
      resolve({ nodeId, address, browsers, app, directory, port: Number(own), child });
    });
  });
}

/** The files of the shards that farmers have stored. */
export async function shardFiles(farmers: readonly { directory: string }[]): Promise<string[]> {
  const all = farmers.map(async ({ directory }) => {
    const shards = join(directory, 'shards');
    const names = await readdir(shards, { recursive: true });
    return names.filter((name) => /\/[0-9a-f]{64}$/.test(name)).map((name) => join(shards, name));
  });
  return (await Promise.all(all)).flat();
}

/** What a farmer holds, as its `/health` says. */
export interface HeldShards {
  readonly shards: number;
  readonly bytes: number;
}

/** Ask a farmer what it holds. */
export async function heldBy({ address }: FarmerProcess): Promise<HeldShards> {
  const text = await new Promise<string>((resolve, reject) => {
    get(`${address}/health`, { rejectUnauthorized: false }, (response) => {
      let body = '';
      response.on('data', (data: Buffer) => (body += data.toString()));
      response.on('end', () => resolve(body));
    }).on('error', reject);
  });
  const { shards, usedBytes, reservedBytes } = JSON.parse(text) as {
    shards: number;
    usedBytes: number;
    reservedBytes: number;
  };
  return { shards, bytes: usedBytes + reservedBytes };
}

/** A real file of at least `bytes` bytes: the Node binary, as often as it takes, cut to size. */
export async function realFile(path: string, bytes: number): Promise<Buffer> {
  const binary = await readFile(process.execPath);
  const parts: Buffer[] = [];
  for (let size = 0; size < bytes; size += binary.length) parts.push(binary);
  const content = Buffer.concat(parts).subarray(0, bytes);
  await writeFile(path, content);
  return content;
}

/** Wait until something is true, looking every 50 ms; fails after `ms`: a busy machine takes its time. */
export async function until(what: string, check: () => Promise<boolean> | boolean, ms = 90_000) {
  const end = Date.now() + ms;
  while (!(await check())) {
    if (Date.now() > end) throw new Error(`did not happen in ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
