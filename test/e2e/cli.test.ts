import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GRANARY, TestNetwork, granary, granaryJson, until } from './support/granary.js';

const exec = promisify(execFile);
const isRoot = process.getuid?.() === 0;
let network: TestNetwork;
let directory: string;

beforeAll(async () => {
  network = await TestNetwork.start(5);
  await writeFile(
    join(network.home, 'config.json'),
    JSON.stringify({ bootstrap: [network.farmers[0]!.address], scheme: '2/3/4/5' }),
  );
  directory = await mkdtemp(join(tmpdir(), 'granary-cli-'));
  await chmod(directory, 0o755);
});
afterAll(async () => {
  await network.stop();
  await rm(directory, { recursive: true, force: true });
});

const run = (args: string[], input?: Uint8Array) =>
  granary(args, { home: network.home, ...(input !== undefined && { input }) });

describe('objects', () => {
  it('go in and out, by file and by pipe', async () => {
    const content = randomBytes(3_000_000);
    const source = join(directory, 'in.bin');
    await writeFile(source, content);
    const put = await run(['put', source]);
    expect(put.stderr).toBe('');
    expect(put.stdout.toString()).toMatch(
      /^Stored default\/in.bin: 3.00 MB in 1 segment, 5 shards/,
    );
    const got = await run(['get', 'in.bin', join(directory, 'out.bin')]);
    expect(got.code).toBe(0);
    expect((await readFile(join(directory, 'out.bin'))).equals(content)).toBe(true);

    const piped = randomBytes(700_000);
    expect((await run(['put', '-', 'pipes/one'], piped)).code).toBe(0);
    expect((await run(['get', 'pipes/one', '-'])).stdout.equals(piped)).toBe(true);
    expect(
      (await run(['cat', 'pipes/one', '--range=-100'])).stdout.equals(piped.subarray(-100)),
    ).toBe(true);
    expect(
      (await run(['cat', 'pipes/one', '--range', '5-9'])).stdout.equals(piped.subarray(5, 10)),
    ).toBe(true);
    const { stdout } = await exec(
      'bash',
      ['-o', 'pipefail', '-c', `"${process.execPath}" "${GRANARY}" cat in.bin | head -c 4 | wc -c`],
      { env: { ...process.env, GRANARY_HOME: network.home } },
    ).catch((e: { stdout: string }) => e);
    expect(stdout.trim()).toBe('4');
  });

  it('are listed, described and deleted, for people and for scripts', async () => {
    await run(['put', '-', 'things/a'], Buffer.from('one'));
    await run(['put', '-', 'things/b'], Buffer.from('three'));
    expect((await run(['ls'])).stdout.toString()).toContain('things/\n');
    const listed = (await run(['ls', 'things', '--json'])).stdout.toString().trim().split('\n');
    expect(listed.map((line) => (JSON.parse(line) as { name: string }).name)).toEqual(['a', 'b']);
    const found = await granaryJson<{ size: number; shards: number }>(
      ['stat', 'things/b'],
      network.home,
    );
    expect(found).toMatchObject({ size: 5, shards: 5 });
    expect((await run(['stat', 'things/b'])).stdout.toString()).toMatch(/can lose\s+3 farmers/);
    const status = await granaryJson<{ farmers: object[]; objects: number }>(
      ['status'],
      network.home,
    );
    expect(status.farmers).toHaveLength(5);
    expect((await run(['rm', 'things/a', 'things/b'])).code).toBe(0);
    expect((await run(['ls', 'things'])).stdout.toString()).toBe('');
  });

  it('say what could not be deleted now, and delete it later', async () => {
    await run(['put', '-', 'later/x'], Buffer.from('x'));
    const gone = network.farmers[4]!;
    gone.child.kill('SIGSTOP');
    gone.child.kill('SIGKILL');
    await until('it is dead', () => gone.child.signalCode !== null);
    const removed = await run(['rm', 'later/x']);
    expect(removed.code).toBe(16);
    expect(removed.stderr).toContain(gone.nodeId);
    await network.restart(gone);
    expect((await run(['gc'])).code).toBe(0);
    expect(
      (await granaryJson<{ pendingDeletes: number }>(['status', '--offline'], network.home))
        .pendingDeletes,
    ).toBe(0);
  });
});

describe('the DHT', () => {
  it('is spoken to', async () => {
    const { address, nodeId } = network.farmers[1]!;
    const env = { GRANARY_BOOTSTRAP: address };
    const pinged = await granary(['dht', 'ping', address, '--json'], { env });
    expect(JSON.parse(pinged.stdout.toString())).toMatchObject({ nodeId });
    const key = (await granary(['dht', 'put', '-'], { env, input: Buffer.from('hello\n') })).stdout
      .toString()
      .trim();
    expect(key).toBe('5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03');
    expect((await granary(['dht', 'get', key], { env })).stdout.toString()).toBe('hello\n');
    const looked = await granary(['dht', 'lookup', nodeId, '--json'], { env });
    expect(
      (JSON.parse(looked.stdout.toString()) as { contacts: { nodeId: string }[] }).contacts[0]!
        .nodeId,
    ).toBe(nodeId);
    expect((await granary(['dht', 'get', '00'.repeat(32)], { env })).code).toBe(3);
  });
});

/** One line, with the exit code that is promised, and JSON when it is asked for. */
async function fails(
  args: string[],
  code: number,
  message: RegExp,
  options: Parameters<typeof granary>[1] = { home: network.home },
): Promise<void> {
  const plain = await granary(args, options);
  expect(plain.stderr).toMatch(message);
  expect(plain.stderr.trim().split('\n'), plain.stderr).toHaveLength(1);
  expect(plain.code).toBe(code);
  const json = await granary([...args, '--json'], options);
  expect(JSON.parse(json.stderr)).toMatchObject({ error: { exit: code } });
}

describe('what goes wrong', () => {
  const small = () => join(directory, 'small');
  beforeAll(() => writeFile(small(), 'small'));

  it('names a missing object, file, key file and network', async () => {
    await fails(['get', 'no/such'], 3, /^granary: there is no object no\/such$/m);
    await fails(['put', '/no/such/file'], 12, /there is no such file/);
    const home = join(directory, 'empty');
    await fails(['ls'], 4, /granary init/, { home });
    const away = join(directory, 'away');
    await granary(['init'], { home: away });
    await fails(['put', small()], 6, /--bootstrap/, { home: away });
    await fails(['put', small(), '--bootstrap', 'https://127.0.0.1:9'], 6, /127\.0\.0\.1:9/, {
      home: away,
    });
    await fails(['put', small(), '--scheme', '9/9/9/9'], 7, /9 farmers are needed/);
  });

  it('does not overwrite', async () => {
    await run(['put', small(), 'keep/small']);
    await fails(['get', 'keep/small', small()], 14, /--force/);
    await fails(['init'], 14, /there are keys/);
    expect((await run(['get', 'keep/small', small(), '--force'])).code).toBe(0);
  });

  it('asks for the right password', async () => {
    const home = join(directory, 'sealed');
    const env = { GRANARY_PASSWORD: 'right' };
    expect((await granary(['init'], { home, env })).code).toBe(0);
    expect((await stat(join(home, 'keys.json'))).mode & 0o777).toBe(0o600);
    expect((await granary(['ls'], { home, env })).code).toBe(0);
    await fails(['ls'], 5, /wrong password/, { home, env: { GRANARY_PASSWORD: 'wrong' } });
    await fails(['ls'], 5, /need their password/, { home });
  });

  it('restores the same node from its words', async () => {
    const home = join(directory, 'first');
    const made = await granaryJson<{ nodeId: string; words: string }>(['init'], home);
    const again = await granaryJson<{ nodeId: string }>(
      ['init', '--words', made.words],
      join(directory, 'second'),
    );
    expect(again.nodeId).toBe(made.nodeId);
    await fails(['init', '--words', 'wrong words'], 2, /24 words/, {
      home: join(directory, 'third'),
    });
  });

  it('remembers the bootstrap address that init was given', async () => {
    const home = join(directory, 'remembering');
    const { address } = network.farmers[2]!;
    expect((await granary(['init', '--bootstrap', address], { home })).code).toBe(0);
    expect((await granaryJson<{ farmers: object[] }>(['status'], home)).farmers).toHaveLength(5);
  });

  it('stops on Ctrl-C, and says how to go on', async () => {
    const source = join(directory, 'large.bin');
    await writeFile(source, randomBytes(60_000_000));
    const stored = async () => {
      const all = network.farmers.map((f) =>
        readdir(join(f.directory, 'shards'), { recursive: true }),
      );
      return (await Promise.all(all)).flat().length;
    };
    const begin = await stored();
    const stopped = await granary(['put', source, 'keep/stopped'], {
      home: network.home,
      onStart: (child) =>
        void until('shards arrive', async () => (await stored()) > begin).then(() =>
          child.kill('SIGINT'),
        ),
    });
    expect(stopped.stderr).toBe(
      'granary: stopped: run the same put again and it goes on from here\n',
    );
    expect(stopped.code).toBe(130);
    expect((await run(['put', source, 'keep/stopped'])).code).toBe(0);
    expect((await run(['rm', 'keep/stopped'])).code).toBe(0);
  });

  it('refuses a command line that makes no sense', async () => {
    for (const args of [
      ['nonsense'],
      ['put'],
      ['put', '-'],
      ['farm'],
      ['get', 'x', '--range', 'y'],
      ['put', small(), '--scheme', '5/4/3/2'],
    ]) {
      const { code, stderr } = await run(args);
      expect(code, args.join(' ')).toBe(args[0] === 'get' ? 3 : 2);
      expect(stderr, args.join(' ')).not.toBe('');
    }
  });

  it('names a port in use', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    await fails(
      ['farm', '--data', join(directory, 'busy'), '--port', String(port)],
      11,
      new RegExp(`port ${port}`),
      {
        env: { GRANARY_LOG_LEVEL: 'error' },
      },
    );
    await new Promise((resolve) => server.close(resolve));
  });

  // Root may do everything, so the tests of permission run as nobody, which only root can become.
  it.runIf(isRoot)('names a directory without permission', async () => {
    const closed = join(directory, 'closed');
    await mkdir(closed, { mode: 0o700 });
    const env = { GRANARY_LOG_LEVEL: 'error' };
    await fails(['init'], 10, /no permission/, { home: join(closed, 'home'), uid: 65_534 });
    await fails(['farm', '--data', join(closed, 'farm')], 10, /no permission/, {
      uid: 65_534,
      env,
    });
    expect((await run(['put', small(), 'keep/forbidden'])).code).toBe(0);
  });

  // A full disk is a small file system of our own, which only root can mount.
  it.runIf(isRoot)('names a full disk', async () => {
    const mount = join(directory, 'tiny');
    await mkdir(mount);
    await exec('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', mount]);
    try {
      await run(['put', '-', 'keep/big'], randomBytes(3_000_000));
      await fails(['get', 'keep/big', join(mount, 'out')], 9, /disk is full/);
    } finally {
      await exec('umount', ['-l', mount]);
    }
  });
});

describe('granary network', () => {
  const start = async () => {
    const child = spawn(process.execPath, [GRANARY, 'network', '-n', '3', '--json'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const line = await new Promise<string>((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`it ended with ${code}`)));
      createInterface({ input: child.stdout }).once('line', resolve);
    });
    const ready = JSON.parse(line) as {
      home: string;
      directory: string;
      farmers: { pid: number }[];
    };
    return { child, ...ready };
  };
  const alive = (pid: number) => {
    try {
      process.kill(pid, 0);
      return true;
    } catch {
      return false;
    }
  };

  it('is ready to use, and stops all its farmers on Ctrl-C', async () => {
    const { child, home, farmers, directory: data } = await start();
    expect(
      (await granary(['put', '-', 'x/y', '--scheme', '1/1/2/3'], { home, input: Buffer.from('z') }))
        .code,
    ).toBe(0);
    expect((await granary(['cat', 'x/y'], { home })).stdout.toString()).toBe('z');
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGINT');
    expect(await gone).toBe(0);
    expect(farmers.filter(({ pid }) => alive(pid))).toEqual([]);
    await expect(stat(data)).rejects.toThrow(/ENOENT/);
  });

  it('takes its farmers with it when it is killed', async () => {
    const { child, farmers, directory: data } = await start();
    expect(farmers.every(({ pid }) => alive(pid))).toBe(true);
    child.kill('SIGKILL');
    await until('the farmers stop', () => farmers.every(({ pid }) => !alive(pid)));
    await rm(data, { recursive: true, force: true });
  });
});

describe('help', () => {
  it('has examples for every command, and the exit codes', async () => {
    for (const command of [
      'init',
      'farm',
      'put',
      'get',
      'cat',
      'ls',
      'stat',
      'rm',
      'gc',
      'status',
      'network',
      'dht ping',
      'dht lookup',
      'dht get',
      'dht put',
    ]) {
      const { stdout, code } = await granary([...command.split(' '), '--help']);
      expect(code).toBe(0);
      expect(stdout.toString(), command).toContain('Examples:');
    }
    expect((await granary(['help', 'exit-codes'])).stdout.toString()).toMatch(/^130\s+stopped/m);
    expect((await granary(['--version'])).stdout.toString()).toMatch(/^\d+\.\d+\.\d+/);
  });
});
