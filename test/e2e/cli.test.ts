import { execFile, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
  onTestFinished,
} from 'vitest';
import {
  GRANARY,
  TestNetwork,
  endItself,
  granary,
  granaryJson,
  kill,
  until,
  shardFiles,
} from './support/granary.js';

const exec = promisify(execFile);
const isRoot = process.getuid?.() === 0;
/** A put is done when it has a shard with each of the five, so that nobody is too slow to be counted. */
const ALL_FIVE = ['--scheme', '2/3/5/5'];
let network: TestNetwork;
/** Of one test, and of one try. */
let directory: string;

beforeAll(async () => {
  network = await TestNetwork.start(5);
  await writeFile(
    join(network.home, 'config.json'),
    JSON.stringify({ bootstrap: [network.farmers[0]!.address], scheme: '2/3/4/5' }),
  );
});
afterAll(() => network.stop());
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'granary-cli-'));
  await chmod(directory, 0o755);
  await network.reviveAll();
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const run = (args: string[], input?: Uint8Array) =>
  granary(args, { home: network.home, ...(input !== undefined && { input }) });

/** The shards that farmers have. */
const held = async () => (await shardFiles(network.farmers)).length;

describe('objects', () => {
  it('go in and out, by file and by pipe', async () => {
    const content = randomBytes(3_000_000);
    const source = join(directory, 'in.bin');
    await writeFile(source, content);
    const put = await run(['put', source, ...ALL_FIVE]);
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
    await run(['put', '-', 'things/b', ...ALL_FIVE], Buffer.from('three'));
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
    await run(['put', '-', 'later/x', ...ALL_FIVE], Buffer.from('x'));
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

describe('shares', () => {
  it('are opened by whoever has the link, without keys, with n - k farmers killed', async () => {
    const content = randomBytes(3_000_000);
    const source = join(directory, 'shared.bin');
    await writeFile(source, content);
    await run(['put', source, 'album/2026/shared.bin', ...ALL_FIVE]);
    const base = ['--base', 'https://app.example.org/granary'];
    const made = await granaryJson<{ id: string; link: string }>(
      ['share', 'album/2026/shared.bin', '--expires', '7d', ...base],
      network.home,
    );
    expect(made.link).toMatch(/^https:\/\/app\.example\.org\/granary\/share\.html#1\./);
    const stranger = { home: join(directory, 'stranger') };
    const victims = network.farmers.slice(2, 5);
    for (const farmer of victims) await kill(farmer);
    const out = join(directory, 'shared-out.bin');
    const got = await granary(['get', made.link, '-o', out], stranger);
    expect(got.stderr).toBe('');
    expect(got.stdout.toString()).toMatch(/^Got shared\.bin into .*: 3\.00 MB/);
    expect((await readFile(out)).equals(content)).toBe(true);
    const part = await granary(['cat', made.link, '--range', '1000000-1000099'], stranger);
    expect(part.stdout.equals(content.subarray(1_000_000, 1_000_100))).toBe(true);
    await expect(stat(stranger.home)).rejects.toThrow(/ENOENT/);
    for (const farmer of victims) await network.restart(farmer);

    const listed = (await run(['shares', '--links', ...base])).stdout.toString();
    expect(listed).toMatch(
      new RegExp(`^${made.id.slice(0, 8)} +open .* album/2026/shared\\.bin$`, 'm'),
    );
    expect(listed).toContain(made.link.split('&')[0]);
    expect((await run(['unshare', made.id.slice(0, 8)])).code).toBe(0);
    await fails(['get', made.link, join(directory, 'x')], 3, /taken this share back/, stranger);
  });

  it('say when they have expired, or what they lead to was deleted', async () => {
    await run(['put', '-', 'album/short'], Buffer.from('short'));
    const link = async (expires: string) =>
      (await run(['share', 'album/short', '--expires', expires])).stdout.toString().trim();
    const stranger = { home: join(directory, 'stranger') };
    // However long it takes until the network is there.
    const brief = await link('1s');
    expect(brief).toMatch(/^granary:share#1\./);
    const lasting = await link('never');
    expect(lasting).toMatch(/^granary:share#1\./);
    expect((await granary(['cat', lasting], stranger)).stdout.toString()).toBe('short');
    await until('it has expired', async () => {
      const { code, stderr } = await granary(['cat', brief], stranger);
      return code === 3 && /has expired/.test(stderr);
    });
    await run(['rm', 'album/short']);
    await fails(['cat', lasting], 3, /deleted what was shared/, stranger);
  });
});

describe('access grants', () => {
  it('let others list and read what begins so, and what is added, until they are taken back', async () => {
    const [one, two] = [randomBytes(2_000_000), randomBytes(300_000)];
    await run(['rm', 'team/plans/two']); // A first try may have left it.
    await run(['put', '-', 'team/plans/one'], one);
    await run(['put', '-', 'team/other'], Buffer.from('not for them'));
    const grant = join(directory, 'team.grant');
    const made = await granaryJson<{ id: string; grant: string; objects: number }>(
      ['grants', 'add', 'team/plans/', '--expires', '7d', '-o', grant],
      network.home,
    );
    expect(made).toMatchObject({ objects: 1 });
    expect((await stat(grant)).mode & 0o777).toBe(0o600);
    expect(await readFile(grant, 'utf8')).toBe(`${made.grant}\n`);
    const stranger = { home: join(directory, 'grantee') };
    const names = async () =>
      (await granary(['ls', 'team', '--grant', grant, '--json'], stranger)).stdout
        .toString()
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { name: string }).name);
    expect(await names()).toEqual(['plans/one']);
    await run(['put', '-', 'team/plans/two'], two);
    expect(await names()).toEqual(['plans/one', 'plans/two']);
    const out = join(directory, 'one.out');
    const got = await granary(['get', 'team/plans/one', out, '--grant', made.grant], stranger);
    expect(got.stderr).toBe('');
    expect((await readFile(out)).equals(one)).toBe(true);
    const env = { GRANARY_GRANT: grant };
    const part = await granary(['cat', 'team/plans/two', '--range', '100-199'], {
      ...stranger,
      env,
    });
    expect(part.stdout.equals(two.subarray(100, 200))).toBe(true);
    await fails(['cat', 'team/other', '--grant', grant], 3, /of team\/plans\//, stranger);
    await fails(['ls', 'pipes', '--grant', grant], 3, /not of pipes/, stranger);
    await fails(['ls', 'team', '--grant', '/nowhere'], 12, /no such file/, stranger);
    await fails(['get', made.grant, join(directory, 'x')], 2, /is an access grant/, stranger);
    await expect(stat(stranger.home)).rejects.toThrow(/ENOENT/);

    const listed = (await run(['grants', 'list'])).stdout.toString();
    expect(listed).toMatch(new RegExp(`^${made.id.slice(0, 8)} +open .* 2 +team/plans/$`, 'm'));
    expect((await run(['grants', 'remove', made.id.slice(0, 8)])).code).toBe(0);
    await fails(['ls', 'team', '--grant', grant], 3, /taken this share back/, stranger);
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
  beforeEach(() => writeFile(small(), 'small'));

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
    const begin = await held();
    const stopped = await granary(['put', source, 'keep/stopped'], {
      home: network.home,
      env: endItself({
        folders: network.farmers.map((farmer) => join(farmer.directory, 'shards')),
        files: begin + 1,
        signal: 'SIGINT',
      }),
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

describe('the start', () => {
  /** What the command loads, by a loader that writes it down. */
  const loads = async (args: string[]) => {
    const hook = `export const load = (url, context, next) => {
      fs.appendFileSync(process.env.LOADED, url + '\\n'); return next(url, context); };`;
    const source = `import fs from 'node:fs';${hook}`;
    const file = join(directory, 'register.mjs');
    await writeFile(
      file,
      `import { register } from 'node:module';
       register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(source)}));`,
    );
    const list = join(directory, `loaded-${randomBytes(4).toString('hex')}`);
    const env = { NODE_OPTIONS: `--import ${file}`, LOADED: list };
    const { code, stderr } = await granary(args, { home: network.home, env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const urls = (await readFile(list, 'utf8')).split('\n').filter((url) => url !== '');
    return urls.filter((url) => url.startsWith('file:'));
  };

  it('is from few files, and help and version load nothing that a command works with', async () => {
    const help = await loads(['--help']);
    expect(help.some((url) => url.endsWith('/bundle/main.js'))).toBe(true);
    expect(help.length).toBeLessThan(10);
    expect(help.filter((url) => /zod|kad|renter|node_modules/.test(url))).toEqual([]);
    expect((await loads(['--version'])).length).toBeLessThan(10);
    expect((await loads(['ls'])).length).toBeLessThan(80);
  });

  it('can be followed in a stack trace, down to the sources', async () => {
    const lost = await run(['get', 'nothing-of-that-name', '--log-level', 'debug']);
    expect(lost.stderr).toMatch(/at .*packages\/renter\/src\/renter\.ts:\d+:\d+/);
    expect((await run(['get', 'nothing-of-that-name'])).stderr).not.toContain('    at ');
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
      'share',
      'shares',
      'unshare',
      'grants add',
      'grants list',
      'grants remove',
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

describe('objects, at the edges', () => {
  it('are replaced by a put of the same name, and the old shards go', async () => {
    expect((await run(['gc'])).code).toBe(0); // So that only these puts change the count.
    const others = await held();
    const second = randomBytes(50_000);
    for (const content of [randomBytes(100_000), second]) {
      expect((await run(['put', '-', 'again/x', ...ALL_FIVE], content)).code).toBe(0);
      const { shards } = await granaryJson<{ shards: number }>(['stat', 'again/x'], network.home);
      expect(shards).toBe(5);
      expect((await held()) - others).toBe(shards);
    }
    expect((await run(['cat', 'again/x'])).stdout.equals(second)).toBe(true);
    expect((await run(['rm', 'again/x'])).code).toBe(0);
    expect(await held()).toBe(others);
  });

  it('may be empty', async () => {
    const target = join(directory, 'empty-object');
    expect((await run(['put', '-', 'edge/empty'])).code).toBe(0);
    expect((await run(['cat', 'edge/empty'])).stdout).toHaveLength(0);
    expect((await run(['get', 'edge/empty', target])).code).toBe(0);
    expect((await stat(target)).size).toBe(0);
  });

  it('have names with slashes, spaces and any letters, and are listed by prefix', async () => {
    const name = 'ünter/Ähre 🌾.txt';
    expect((await run(['put', '-', `edge/${name}`], Buffer.from('grain'))).code).toBe(0);
    expect((await run(['cat', `edge/${name}`])).stdout.toString()).toBe('grain');
    expect((await run(['put', '-', 'edge/unter/other'], Buffer.from('chaff'))).code).toBe(0);
    const listed = (await run(['ls', 'edge/ünter/', '--json'])).stdout.toString().trim();
    expect(JSON.parse(listed)).toMatchObject({ bucket: 'edge', name, size: 5 });
  });

  it('take the name of the file, and give it back', async () => {
    const [there, back] = [join(directory, 'there'), join(directory, 'back')];
    await mkdir(there);
    await mkdir(back);
    await writeFile(join(there, 'plain.txt'), 'plain');
    const env = { ...process.env, GRANARY_HOME: network.home };
    const at = (cwd: string, ...args: string[]) =>
      exec(process.execPath, [GRANARY, ...args], { cwd, env });
    await at(there, 'put', 'plain.txt');
    await at(there, 'put', 'plain.txt', 'edge/folder/');
    await at(back, 'get', 'plain.txt');
    expect(await readFile(join(back, 'plain.txt'), 'utf8')).toBe('plain');
    expect((await run(['cat', 'edge/folder/plain.txt'])).stdout.toString()).toBe('plain');
  });

  it('come back where a Ctrl-C cut the get off, and keep only what is true of the part', async () => {
    const content = randomBytes(60_000_000);
    const [source, folder] = [join(directory, 'long.bin'), join(directory, 'cut')];
    await mkdir(folder);
    await writeFile(source, content);
    expect((await run(['put', source, 'edge/long'])).code).toBe(0);
    const target = join(folder, 'long.out');
    // The part is there before the first byte has been asked for.
    const stopped = await granary(['get', 'edge/long', target], {
      home: network.home,
      env: endItself({ folders: [folder], signal: 'SIGINT' }),
    });
    expect(stopped.stderr).toBe(
      'granary: stopped: run the same get again and it goes on from here\n',
    );
    expect(stopped.code).toBe(130);
    const [part, ...rest] = await readdir(folder);
    expect(part).toMatch(/^long\.out\..+\.granary-part$/);
    expect(rest).toEqual([]);
    // As a crash may leave it: a good beginning, then bytes that never reached the disk.
    const begun = Buffer.concat([content.subarray(0, 30_000_000), Buffer.alloc(10_000_000)]);
    await writeFile(join(folder, part!), begun);
    const again = await run(['get', 'edge/long', target]);
    const there = /^(\d+\.\d+) MB were there from before\n$/.exec(again.stderr);
    expect(Number(there?.[1]), again.stderr).toBeGreaterThan(10);
    expect(Number(there?.[1])).toBeLessThanOrEqual(30);
    expect((await readFile(target)).equals(content)).toBe(true);
    expect(await readdir(folder)).toEqual(['long.out']);
    expect((await run(['rm', 'edge/long'])).code).toBe(0);
  });
});

describe('configuration', () => {
  it('from a flag beats the environment, which beats the file', async () => {
    const home = join(directory, 'layers');
    const live = network.farmers[0]!.address;
    const dead = 'https://127.0.0.1:9';
    await granary(['init'], { home });
    await writeFile(join(home, 'config.json'), JSON.stringify({ bootstrap: [dead] }));
    await fails(['status'], 6, /127\.0\.0\.1:9/, { home });
    const env = { GRANARY_BOOTSTRAP: dead };
    expect((await granary(['status', '--bootstrap', live], { home, env })).code).toBe(0);
    await rm(join(home, 'store'), { recursive: true }); // It remembers the farmers that it met.
    expect((await granary(['status'], { home, env: { GRANARY_BOOTSTRAP: live } })).code).toBe(0);
  });

  it('says what is wrong in it', async () => {
    const home = join(directory, 'misconfigured');
    await granary(['init'], { home });
    const file = join(home, 'config.json');
    await writeFile(file, '{ bootstrap');
    await fails(['ls'], 2, /config\.json is not JSON/, { home });
    await writeFile(file, '{"bootstrap":"https://127.0.0.1:9"}');
    await fails(['ls'], 2, /config\.json: bootstrap/, { home });
    await writeFile(file, '{}');
    await fails(['ls'], 2, /logLevel/, { home, env: { GRANARY_LOG_LEVEL: 'loud' } });
  });

  it('takes the password from a file before the environment', async () => {
    const home = join(directory, 'by-file');
    const file = join(directory, 'password');
    await writeFile(file, 'of the file\n');
    const given = ['--password-file', file];
    expect((await granary(['init', ...given], { home })).code).toBe(0);
    const env = { GRANARY_PASSWORD: 'of the environment' };
    expect((await granary(['ls', ...given], { home, env })).code).toBe(0);
    await fails(['ls'], 5, /wrong password/, { home, env });
    await fails(['init', '--password'], 2, /--password-file/, { home: join(directory, 'none') });
  });

  it('never shows the words or the password in a log or in the sealed file', async () => {
    const home = join(directory, 'secret');
    const env = { GRANARY_PASSWORD: 'rosebud-rosebud', GRANARY_LOG_LEVEL: 'trace' };
    const made = await granary(['init', '--json'], { home, env });
    const { words } = JSON.parse(made.stdout.toString()) as { words: string };
    const dead = ['--bootstrap', 'https://127.0.0.1:9'];
    const used = await granary(['status', ...dead], { home, env });
    expect(used.code).toBe(6);
    expect(used.stderr).toContain('"level":'); // There is a log to search.
    const keys = await readFile(join(home, 'keys.json'), 'utf8');
    for (const text of [made.stderr, used.stderr, used.stdout.toString(), keys]) {
      expect(text).not.toContain('rosebud-rosebud');
      expect(text).not.toContain(words.split(' ').slice(0, 3).join(' '));
    }
  });
});

describe('a farmer', () => {
  const quiet = { env: { GRANARY_LOG_LEVEL: 'error' } };

  it('keeps its identity, has its directory to itself, and stops on a signal', async () => {
    const data = join(directory, 'farm');
    const farmUntil = async (signal: NodeJS.Signals) => {
      let refused = Promise.resolve();
      const ended = await granary(['farm', '--data', data, '--json'], {
        ...quiet,
        onStart: (child) => {
          onTestFinished(() => void child.kill('SIGKILL')); // Also when it took too long.
          child.stdout!.once('data', () => {
            const owner = new RegExp(`process ${child.pid} `);
            refused = fails(['farm', '--data', data], 15, owner, quiet);
            void refused.catch(() => undefined).then(() => child.kill(signal));
          });
        },
      });
      await refused;
      expect(ended.code, ended.stderr).toBe(0);
      return JSON.parse(ended.stdout.toString()) as { event: string; nodeId: string };
    };
    const first = await farmUntil('SIGTERM');
    expect(first.event).toBe('ready');
    expect((await stat(join(data, 'identity.json'))).mode & 0o777).toBe(0o600);
    expect((await farmUntil('SIGINT')).nodeId).toBe(first.nodeId);
  });

  it('refuses senseless options', async () => {
    const data = ['farm', '--data', join(directory, 'senseless')];
    await fails([...data, '--space', 'lots'], 2, /"lots" is not a size/, quiet);
    await fails([...data, '--port', '99999'], 2, /--port 99999/, quiet);
    await fails([...data, '--reservation', 'soon'], 2, /"soon" is not a duration/, quiet);
    await fails([...data, '--host', '256.1.1.1'], 2, /cannot listen on 256\.1\.1\.1/, quiet);
  });
});

describe('the DHT, when it goes wrong', () => {
  it('says so', async () => {
    const { address } = network.farmers[0]!;
    await fails(['dht', 'ping', 'https://127.0.0.1:9'], 6, /127\.0\.0\.1:9 can't be reached/, {});
    await fails(['dht', 'ping', 'nonsense'], 2, /"nonsense"/, {});
    await fails(['dht', 'get', '00'.repeat(32)], 2, /--bootstrap/, {});
    const env = { GRANARY_BOOTSTRAP: address };
    await fails(['dht', 'lookup', 'xyz'], 2, /64 lower-case hex digits/, { env });
    const input = randomBytes(65_537);
    await fails(['dht', 'put', '-'], 2, /at most 65536 bytes/, { env, input });
  });

  it('keeps the largest value that it takes, byte for byte', async () => {
    const env = { GRANARY_BOOTSTRAP: network.farmers[0]!.address };
    const input = randomBytes(65_536);
    const put = await granary(['dht', 'put', '-', '--json'], { env, input });
    const { key } = JSON.parse(put.stdout.toString()) as { key: string };
    expect(key).toBe(createHash('sha256').update(input).digest('hex'));
    expect((await granary(['dht', 'get', key], { env })).stdout.equals(input)).toBe(true);
  });
});

describe('when too few farmers are left', () => {
  let own: TestNetwork;
  beforeAll(async () => {
    own = await TestNetwork.start(3);
  });
  afterAll(() => own.stop());

  it('says how many shards are missing, and leaves the file that is there alone', async () => {
    const options = { home: own.home };
    await own.reviveAll();
    const input = randomBytes(200_000);
    await granary(['put', '-', 'x/y', '--scheme', '2/2/3/3'], { ...options, input });
    await Promise.all(own.farmers.slice(0, 2).map((farmer) => kill(farmer)));
    const target = join(directory, 'kept');
    await fails(['get', 'x/y', target], 8, /1 of the 2 shards needed/, options);
    await expect(stat(target)).rejects.toThrow(/ENOENT/);
    await writeFile(target, 'kept');
    await fails(['get', 'x/y', target, '--force'], 8, /1 of the 2 shards needed/, options);
    expect(await readFile(target, 'utf8')).toBe('kept');
    await fails(['cat', 'x/y'], 8, /1 of the 2 shards needed/, options);
    const small = join(directory, 'a-little');
    await writeFile(small, 'a little');
    await fails(['put', small, '--scheme', '2/2/3/3'], 7, /3 farmers are needed/, options);
    await own.restart(own.farmers[0]!);
    expect((await granary(['cat', 'x/y'], options)).stdout.equals(input)).toBe(true);
  });

  it('does not offer a farmer more than it has room for', async () => {
    const full = await TestNetwork.start(2, ['--space', '100kB']);
    try {
      const options = { home: full.home, input: randomBytes(300_000) };
      const scheme = ['--scheme', '1/1/2/2'];
      await fails(['put', '-', 'x/large', ...scheme], 7, /0 of the 2 in the network/, options);
      const input = randomBytes(50_000);
      const { code } = await granary(['put', '-', 'x/small', ...scheme], { ...options, input });
      expect(code).toBe(0);
    } finally {
      await full.stop();
    }
  });
});

it('names a farmer of its network that died, and goes on', async () => {
  const child = spawn(process.execPath, [GRANARY, 'network', '-n', '2', '--json'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  onTestFinished(() => void child.kill('SIGTERM')); // Also when it took too long.
  try {
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const next = async () => JSON.parse(String((await lines.next()).value)) as unknown;
    const ready = (await next()) as { farmers: { pid: number; nodeId: string }[] };
    const { pid, nodeId } = ready.farmers[1]!;
    process.kill(pid, 'SIGKILL');
    expect(await next()).toEqual({ event: 'exit', nodeId, pid, code: null, signal: 'SIGKILL' });
    expect(child.exitCode).toBeNull();
  } finally {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    expect(await gone).toBe(0);
  }
});

it('runs as npm links it', async () => {
  const linked = new URL('../../node_modules/.bin/granary', import.meta.url).pathname;
  expect((await exec(linked, ['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});
