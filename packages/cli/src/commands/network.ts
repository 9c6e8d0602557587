import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { makeDirectory } from '@granary/kad';
import type { AppServer } from '../app/app-server.js';
import { CliError } from '../cli-error.js';
import type { Context } from '../context.js';
import type { DashboardServer } from '../dashboard/dashboard-server.js';
import type { NetworkSource } from '../dashboard/network-source.js';
import { openDashboard } from '../dashboard/open-dashboard.js';
import { nodeFlags } from '../node-flags.js';
import { table } from '../output.js';
import { until } from '../until.js';

/** Options of `granary network`. */
export interface NetworkOptions {
  readonly farmers: string;
  readonly dir?: string;
  readonly portBase?: string;
  readonly space: string;
  readonly reservation: string;
  readonly price: string;
  readonly egressPrice: string;
  readonly browsers?: boolean;
  readonly app: string;
}

interface RunningFarmer {
  readonly child: ChildProcess;
  readonly nodeId: string;
  readonly address: string;
  readonly browsers: readonly string[];
  readonly directory: string;
}

const MAIN = new URL('../../bin/granary.mjs', import.meta.url).pathname;
/** All start at one time, so that each has longer the more there are. */
const startTimeoutMs = (farmers: number) => 30_000 + 2_000 * farmers;

/** `granary network`: a local network of real farmer processes, until a signal comes. */
export async function network(context: Context, options: NetworkOptions): Promise<void> {
  const { dialer, output, signal } = context;
  if (dialer !== undefined) {
    throw new CliError(
      'CLI_USAGE',
      'a local network is on this machine, where no proxy leads: use --proxy none',
    );
  }
  const count = Number(options.farmers);
  if (!Number.isInteger(count) || count < 1 || count > 200) {
    throw new CliError('CLI_USAGE', `--farmers ${options.farmers}: a number from 1 to 200`);
  }
  const base =
    options.dir === undefined
      ? await mkdtemp(join(tmpdir(), 'granary-network-'))
      : resolve(options.dir);
  await makeDirectory(base);
  const farmers: RunningFarmer[] = [];
  let stopping = false;
  let dashboard: DashboardServer | undefined;
  let shown: NetworkSource | undefined;
  let app: AppServer | undefined;
  try {
    const begun = Date.now();
    const first = await startFarmer(base, 0, [], options, signal);
    farmers.push(first);
    const others = await Promise.allSettled(
      Array.from({ length: count - 1 }, (_, i) =>
        startFarmer(base, i + 1, [first.address], options, signal),
      ),
    );
    for (const other of others) if (other.status === 'fulfilled') farmers.push(other.value);
    const broken = others.find((other) => other.status === 'rejected');
    if (broken !== undefined) throw broken.reason;

    const home = join(base, 'renter');
    await prepareHome(
      home,
      farmers.slice(0, 3).map(({ address }) => address),
    );
    for (const farmer of farmers) {
      farmer.child.once('exit', (code, killedBy) => {
        if (stopping) return;
        shown?.ended(farmer.nodeId, killedBy ?? `exit ${code}`);
        output.result({
          event: 'exit',
          nodeId: farmer.nodeId,
          pid: farmer.child.pid,
          code,
          signal: killedBy,
        });
        output.line(
          `farmer ${farmer.nodeId.slice(0, 12)} (pid ${farmer.child.pid}) is gone: ${killedBy ?? `exit ${code}`}`,
        );
      });
    }
    dashboard = await openDashboard(context, async () => {
      const { NetworkSource } = await import('../dashboard/network-source.js');
      const { systemClock } = await import('@granary/kad');
      const members = farmers.map(({ nodeId, address, child }, index) => ({
        index: index + 1,
        nodeId,
        address,
        pid: child.pid!,
      }));
      return (shown = new NetworkSource(members, { home, directory: base }, systemClock));
    });
    if (options.browsers === true) app = await serveApp(context, options.app, farmers);
    output.result({
      event: 'ready',
      home,
      directory: base,
      bootstrap: farmers[0]!.address,
      dashboard: dashboard?.url ?? null,
      app: app?.url ?? null,
      farmers: farmers.map(({ nodeId, address, browsers, directory, child }) => ({
        nodeId,
        address,
        browsers,
        directory,
        pid: child.pid,
      })),
    });
    output.line(
      `${farmers.length} farmers run (started in ${((Date.now() - begun) / 1000).toFixed(1)} s), their data in ${base}\n`,
    );
    output.line(
      table([
        ['farmer', 'address', 'pid'],
        ...farmers.map(({ nodeId, address, child }) => [
          nodeId.slice(0, 12),
          address,
          String(child.pid),
        ]),
      ]),
    );
    if (options.browsers === true) {
      output.line(`\nPages join by any of ${farmers[0]!.browsers.join(' and ')}`);
    }
    output.line(`
In another terminal, in this directory:

  export GRANARY_HOME=${home}
  npx granary put README.md          # store a file
  npx granary ls default             # see it
  npx granary stat README.md         # see which farmers hold its shards
  kill -9 PID                        # kill some of them
  npx granary get README.md copy.md  # read it back
  npx granary status                 # the farmers that are left

${app === undefined ? '' : `The app for your files, in a browser: ${app.url}\n`}${dashboard === undefined ? '' : `Dashboard, in a browser: ${dashboard.url}\n`}
Ctrl-C stops them all${options.dir === undefined ? ' and removes their data' : ''}.`);
    await until(signal);
  } finally {
    stopping = true;
    await dashboard?.close();
    await app?.close();
    output.note('stopping the farmers…');
    await Promise.all(farmers.map(({ child }) => stopChild(child)));
    if (options.dir === undefined) await rm(base, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Serve the app for renters, which knows these farmers. */
async function serveApp(
  { logger }: Context,
  listen: string,
  farmers: readonly RunningFarmer[],
): Promise<AppServer> {
  const { AppServer } = await import('../app/app-server.js');
  const { fittingScheme } = await import('../app/fitting-scheme.js');
  const { parseListen } = await import('../listen-address.js');
  const { formatScheme } = await import('@granary/protocol');
  const { siteDirectory } = await import('@granary/web');
  const scheme = fittingScheme(farmers.length);
  // Several, and the last ones: whoever plays with the network kills the first ones first.
  const bootstrap = farmers.slice(-4).flatMap(({ browsers }) => browsers);
  return AppServer.start({
    ...parseListen(listen, '--app', 9080),
    site: siteDirectory,
    network: async () => ({
      bootstrap,
      ...(scheme !== undefined && { scheme: formatScheme(scheme) }),
    }),
    logger,
  });
}

/** A renter's home that knows the network. Keys that are there already are kept. */
async function prepareHome(home: string, bootstrap: string[]): Promise<void> {
  const { entropyFromWords, generateWords, saveKeyFile } = await import('@granary/renter');
  await makeDirectory(home);
  await saveKeyFile(join(home, 'keys.json'), entropyFromWords(generateWords())).catch(
    (error: unknown) => {
      if ((error as { code?: unknown }).code !== 'RENTER_KEYS_EXIST') throw error;
    },
  );
  await writeFile(join(home, 'config.json'), `${JSON.stringify({ bootstrap }, null, 2)}\n`, {
    mode: 0o600,
  });
}

async function startFarmer(
  base: string,
  index: number,
  bootstrap: readonly string[],
  options: NetworkOptions,
  signal: AbortSignal,
): Promise<RunningFarmer> {
  signal.throwIfAborted();
  const directory = join(base, `farmer-${String(index + 1).padStart(2, '0')}`);
  const port = options.portBase === undefined ? 0 : Number(options.portBase) + index;
  const timeoutMs = startTimeoutMs(Number(options.farmers));
  const args = ['farm', '--json', '--with-parent', '--data', directory, '--port', String(port)];
  args.push('--space', options.space, '--reservation', options.reservation, '--log-level', 'error');
  args.push('--price', options.price, '--egress-price', options.egressPrice, '--no-dashboard');
  if (options.browsers === true) args.push('--browser-port', '0');
  for (const address of bootstrap) args.push('--bootstrap', address);
  // A group of its own, so that Ctrl-C in the terminal reaches the farmers only through us; the
  // open stdin tells them when we are gone, however that came.
  const child = spawn(process.execPath, [...nodeFlags, MAIN, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
    env: { ...process.env, GRANARY_BOOTSTRAP: '', GRANARY_PROXY: 'none' },
  });
  child.stdin.on('error', () => undefined);
  let complaint = '';
  let running = false;
  child.stderr.on('data', (data: Buffer) => {
    complaint = (complaint + data.toString()).slice(-4096);
    if (running) process.stderr.write(data);
  });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(
        new CliError('CLI_FARMER', `farmer ${index + 1} did not start in ${timeoutMs / 1000} s`),
      );
    }, timeoutMs);
    child.once('exit', (code) => {
      clearTimeout(timer);
      reject(startFailure(index, code, complaint));
    });
    createInterface({ input: child.stdout }).once('line', (line) => {
      clearTimeout(timer);
      running = true;
      const { nodeId, address, browsers } = JSON.parse(line) as RunningFarmer;
      resolve({ child, nodeId, address, browsers, directory });
    });
  });
}

/** Why a farmer did not start, as it said itself, with its exit code. */
function startFailure(index: number, code: number | null, complaint: string): CliError {
  const last = complaint.trim().split('\n').at(-1) ?? '';
  try {
    const { error } = JSON.parse(last) as { error: { message: string; exit: number } };
    return new CliError('CLI_FARMER', `farmer ${index + 1}: ${error.message}`, error.exit);
  } catch {
    return new CliError('CLI_FARMER', `farmer ${index + 1} ended with code ${code}: ${last}`);
  }
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await gone;
  clearTimeout(timer);
}
