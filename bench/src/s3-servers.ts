import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { granaryCommand } from './granary-command.js';
import type { S3Target } from './s3-load.js';

const S3RVER = join(
  dirname(createRequire(import.meta.url).resolve('s3rver/package.json')),
  'bin/s3rver.js',
);

/** Start a network of farmer processes. @returns a renter's home that knows them */
export async function startNetwork(
  children: ChildProcess[],
  directory: string,
  farmers: number,
): Promise<string> {
  const line = await start(children, [
    ...[...granaryCommand, 'network', '--json', '-n', String(farmers), '--space', '200GB'],
    ...['--dir', join(directory, 'network')],
  ]);
  return (JSON.parse(line) as { home: string }).home;
}

/** Start a bridge on a renter's home. */
export async function startBridge(
  children: ChildProcess[],
  home: string,
  scheme: string,
): Promise<S3Target & { readonly pid: number }> {
  const args = [
    ...granaryCommand,
    'bridge',
    '--json',
    '--log-level',
    'silent',
    '--listen',
    '127.0.0.1:0',
  ];
  const env = { GRANARY_HOME: home, GRANARY_SCHEME: scheme };
  return JSON.parse(await start(children, args, env)) as S3Target & { pid: number };
}

/** Start s3rver. */
export async function startPeer(children: ChildProcess[], directory: string): Promise<S3Target> {
  const line = await start(children, [
    ...[S3RVER, '--directory', join(directory, 's3rver'), '--port', '0', '--silent'],
  ]);
  const port = /:(\d+)/.exec(line)?.[1];
  if (port === undefined) throw new Error(`s3rver says ${line}`);
  return { url: `http://127.0.0.1:${port}`, accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' };
}

/** Start a program of Node; its first line that says something. */
function start(
  children: ChildProcess[],
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<string> {
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  children.push(child);
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`${args[0]} ended with ${code}`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.trim() !== '') resolve(line);
    });
  });
}
