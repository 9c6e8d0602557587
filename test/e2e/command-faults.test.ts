// Faults of the command that were found by hand and mended; each test failed before.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { GRANARY, TestNetwork, granary, kill, shardFiles, until } from './support/granary.js';

let network: TestNetwork;
let directory: string;
beforeAll(async () => {
  network = await TestNetwork.start(3);
  await writeFile(
    join(network.home, 'config.json'),
    JSON.stringify({ bootstrap: [network.farmers[0]!.address], scheme: '2/2/3/3' }),
  );
  directory = await mkdtemp(join(tmpdir(), 'granary-bugs-'));
});
afterAll(async () => {
  await network.stop();
  await rm(directory, { recursive: true, force: true });
});
const run = (args: string[], input?: Uint8Array) =>
  granary(args, { home: network.home, ...(input !== undefined && { input }) });
const held = async () => (await shardFiles(network.farmers)).length;
/** Start with stdin held open, wait for a sign, signal, and see whether it ends by itself. */
async function stopped(args: string[], input: Uint8Array, sign: () => Promise<unknown>, more = {}) {
  const env = { ...process.env, GRANARY_HOME: network.home, ...more };
  const child = spawn(process.execPath, [GRANARY, ...args], { env, stdio: 'pipe' });
  const gone = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
  child.stdin.on('error', () => undefined);
  child.stdin.write(input);
  await sign();
  child.kill('SIGINT');
  const late = new Promise((resolve) => setTimeout(() => resolve('still running'), 60_000));
  const outcome = await Promise.race([gone, late]);
  child.kill('SIGKILL');
  await gone;
  return outcome;
}

it('put - stops on Ctrl-C while the pipe is open', async () => {
  const before = await held();
  const sign = () => until('shards arrive', async () => (await held()) > before);
  expect(await stopped(['put', '-', 'b/one'], randomBytes(20_000_000), sign)).toBe(130);
});
it('dht put - stops on Ctrl-C while the pipe is open', async () => {
  // Before the first of its own modules is loaded, a signal would end it as it does any process: it says when it listens.
  const file = join(directory, `listens-${Math.random().toString(36).slice(2)}`);
  const preload = `import fs from 'node:fs'; process.on('newListener', (name) =>
    name === 'SIGINT' && fs.writeFileSync(process.env.LISTENS, ''))`;
  const sign = async () => {
    await until('it listens to signals', () => existsSync(file));
    await new Promise((resolve) => setTimeout(resolve, 2_000)); // So that it is at the pipe.
  };
  const args = ['dht', 'put', '-', '--bootstrap', network.farmers[0]!.address];
  const env = {
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(preload)}`,
    LISTENS: file,
  };
  expect(await stopped(args, Buffer.from('x'), sign, env)).toBe(130);
});
it('gc removes what a killed put - has left', async () => {
  await run(['gc']);
  const before = await held();
  const env = { ...process.env, GRANARY_HOME: network.home };
  const child = spawn(process.execPath, [GRANARY, 'put', '-', 'b/killed'], { env, stdio: 'pipe' });
  child.stdin.on('error', () => undefined);
  child.stdin.write(randomBytes(20_000_000));
  await until('shards arrive', async () => (await held()) > before);
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
  expect((await run(['gc'])).code).toBe(0);
  expect(await held()).toBe(before);
});
it('a full disk behind stdout is exit 9 and one line', async () => {
  await run(['put', '-', 'b/full'], randomBytes(1000));
  const full = await open('/dev/full', 'w');
  const env = { ...process.env, GRANARY_HOME: network.home };
  const child = spawn(process.execPath, [GRANARY, 'cat', 'b/full'], {
    env,
    stdio: ['ignore', full.fd, 'pipe'],
  });
  let stderr = '';
  child.stderr!.on('data', (data: Buffer) => (stderr += data.toString()));
  const code = await new Promise((resolve) => child.once('close', resolve));
  await full.close();
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(code).toBe(9);
});
it.each([
  ['a missing password file', ['ls', '--password-file', '/no/file']],
  ['a missing value file', ['dht', 'put', '/no/file']],
  ['a missing folder for a range', ['get', 'b/full', '/no/dir/x', '--range', '0-5']],
  ['a file as the data directory', ['farm', '--data', GRANARY]],
  ['a data directory where none can be made', ['farm', '--data', '/proc/granary']],
])('%s is not called a bug', async (_what, args) => {
  expect((await run(args)).stderr).not.toMatch(/this is a bug/);
});
it.each([['put', 'x', '--bogus'], ['bogus']])('usage errors are JSON too (%s)', async (...args) => {
  const { stderr, code } = await run([...args, '--json']);
  expect(code).toBe(2);
  expect(JSON.parse(stderr)).toMatchObject({ error: { exit: 2 } });
});
it('network hands on why a farmer did not start', async () => {
  expect((await run(['network', '-n', '2', '--space', 'lots'])).code).toBe(2);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const { code } = await run(['network', '-n', '2', '--port-base', String(port)]);
  server.close();
  expect(code).toBe(11);
});
it.each(['--announce', '--bootstrap'])('farm refuses a senseless %s', async (flag) => {
  const child = granary(
    ['farm', '--data', join(directory, 'f'), '--log-level', 'error', flag, 'nonsense'],
    {
      onStart: (c) => c.stdout!.once('data', () => c.kill('SIGTERM')),
    },
  );
  expect((await child).code).toBe(2);
});
it('a terminal is not steered by an object name', async () => {
  await run(['put', '-', 'esc/a\u001b[31mred\nline'], Buffer.from('x'));
  const out = (await run(['ls', 'esc'])).stdout.toString();
  expect(out).not.toContain('\u001b');
  expect(out.trim().split('\n')).toHaveLength(1);
});
it('an unknown help topic is a usage error', async () => {
  expect((await run(['help', 'nosuch'])).code).toBe(2);
});
// The last one, since it kills farmers.
it('get --range --force leaves the old file when it can not read', async () => {
  await run(['put', '-', 'b/range'], randomBytes(100_000));
  await Promise.all(network.farmers.slice(0, 2).map((farmer) => kill(farmer)));
  const file = join(directory, 'precious');
  await writeFile(file, 'precious');
  expect((await run(['get', 'b/range', file, '--range', '0-5', '--force'])).code).toBe(8);
  expect(await readFile(file, 'utf8')).toBe('precious');
  await run(['get', 'b/range', join(directory, 'new'), '--range', '0-5']);
  await expect(stat(join(directory, 'new'))).rejects.toThrow(/ENOENT/);
});
