import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { GRANARY } from './granary.js';

const exec = promisify(execFile);

/** A key of a bridge. */
export interface BridgeKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** A bridge process of a test. */
export interface BridgeProcess {
  readonly url: string;
  readonly child: ChildProcess;
  /** The key that the first start makes. */
  readonly key?: BridgeKey;
  /** The file of a certificate that nobody vouches for. */
  readonly certificate?: string;
  /** Where the web app is served, with `--app`. */
  readonly app?: string;
}

/** Start `granary bridge` on a renter's home, and wait until it serves. */
export function startBridge(home: string, extra: readonly string[] = []): Promise<BridgeProcess> {
  const args = ['bridge', '--json', '--log-level', 'error', ...extra];
  const child = spawn(process.execPath, [GRANARY, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, GRANARY_HOME: home, GRANARY_BOOTSTRAP: '' },
  });
  let stderr = '';
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`a bridge ended with ${code}: ${stderr}`)));
    createInterface({ input: child.stdout }).once('line', (line) => {
      const { url, accessKeyId, secretAccessKey, certificate, app } = JSON.parse(
        line,
      ) as BridgeKey & { url: string; certificate?: string; app: string | null };
      const key = accessKeyId === undefined ? undefined : { accessKeyId, secretAccessKey };
      resolve({
        url,
        child,
        ...(key !== undefined && { key }),
        ...(certificate !== undefined && { certificate }),
        ...(app !== null && { app }),
      });
    });
  });
}

/** End a bridge; its exit code. */
export function stopBridge(
  { child }: BridgeProcess,
  signal: NodeJS.Signals = 'SIGTERM',
): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  const gone = new Promise<number | null>((resolve) => child.once('exit', resolve));
  child.kill(signal);
  return gone;
}

/** Whether a program of Debian's is there. Without it a test is skipped and says so; in CI it fails. */
export function hasProgram(path: string): boolean {
  return existsSync(path) || process.env['CI'] !== undefined;
}

/** Run a client with a bridge's key in its environment; what it printed. */
export async function client(
  { accessKeyId, secretAccessKey }: BridgeKey,
  program: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<string> {
  // Nothing of the user's own configuration.
  const rest = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('AWS_')),
  );
  const { stdout } = await exec(program, args, {
    env: {
      ...rest,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_DEFAULT_REGION: 'us-east-1',
      AWS_CONFIG_FILE: '/nonexistent',
      AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
      AWS_EC2_METADATA_DISABLED: 'true',
      ...env,
    },
    timeout: 120_000,
    maxBuffer: 16 * 1024 * 1024,
  });
  return stdout;
}
