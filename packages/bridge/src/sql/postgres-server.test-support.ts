import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A PostgreSQL of our own, in a temporary directory, on loopback. */
export interface PostgresServer {
  /** Make an empty database. @returns its URL */
  createDatabase(): Promise<string>;
  /** The first column of what a query answers. */
  select(database: string, query: string): Promise<string[]>;
  /** End it at once (SIGKILL of all its processes), as a crash would. */
  kill(): Promise<void>;
  /** Start it again where it was. */
  start(): Promise<void>;
  /** End it and remove all that it kept. */
  close(): Promise<void>;
}

/**
 * Start Debian's PostgreSQL as an unprivileged user, as it demands.
 *
 * @param options - `durable: false` leaves out syncing, for tests that are not about crashes
 */
export async function startPostgres({ durable = true } = {}): Promise<PostgresServer> {
  const bin = await binaries();
  const directory = await mkdtemp(join(tmpdir(), 'granary-postgres-'));
  const data = join(directory, 'data');
  const password = randomBytes(12).toString('hex');
  const passwordFile = join(directory, 'password');
  await writeFile(passwordFile, password, { mode: 0o600 });
  const user = process.getuid?.() === 0 ? await idsOf('postgres') : undefined;
  if (user !== undefined) {
    await chown(directory, user.uid, user.gid);
    await chown(passwordFile, user.uid, user.gid);
    await chmod(directory, 0o700);
  }
  const as = user ?? {};
  await run(
    join(bin, 'initdb'),
    ['-D', data, '-U', 'granary', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, '-E', 'UTF8'],
    { ...as, cwd: directory },
  );
  const port = await freePort();
  let server: ChildProcess | undefined;
  let databases = 0;

  const psql = async (statement: string) => {
    const env = { ...process.env, PGPASSWORD: password };
    const at = ['-h', '127.0.0.1', '-p', String(port), '-U', 'granary', '-d', 'postgres'];
    await run(join(bin, 'psql'), [...at, '-qc', statement], { env, cwd: directory });
  };
  const start = async () => {
    const settings = {
      listen_addresses: '127.0.0.1',
      unix_socket_directories: directory,
      max_connections: '60',
      shared_buffers: '64MB',
      lc_messages: 'C',
      ...(durable ? {} : { fsync: 'off', full_page_writes: 'off' }),
    };
    const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    server = spawn(join(bin, 'postgres'), ['-D', data, '-p', String(port), ...options], {
      ...as,
      cwd: directory,
      stdio: 'ignore',
    });
    for (let i = 0; ; i += 1) {
      try {
        return await psql('SELECT 1');
      } catch (error) {
        if (i > 300 || server.exitCode !== null) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  };
  const exited = (child: ChildProcess) =>
    child.exitCode !== null || child.signalCode !== null
      ? Promise.resolve()
      : new Promise<void>((resolve) => child.once('exit', () => resolve()));

  await start();
  return {
    start,
    createDatabase: async () => {
      databases += 1;
      const name = `test_${databases}`;
      await psql(`CREATE DATABASE ${name}`);
      return `postgres://granary:${password}@127.0.0.1:${port}/${name}`;
    },
    select: async (database, query) => {
      const { stdout } = await run(join(bin, 'psql'), ['-d', database, '-Atqc', query], {
        cwd: directory,
      });
      return stdout.split('\n').filter((line) => line !== '');
    },
    kill: async () => {
      if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
      // Held still first, so that it has no more children than are killed. While one of them is there, it can't be
      // started again.
      server.kill('SIGSTOP');
      const children = await childrenOf(server.pid!);
      for (const pid of children) process.kill(pid, 'SIGKILL');
      server.kill('SIGKILL');
      await exited(server);
      for (const pid of children) {
        while (await isRunning(pid)) await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
    close: async () => {
      if (server !== undefined) {
        // Fast shutdown: connections are ended.
        server.kill('SIGINT');
        await exited(server);
      }
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** The processes that a process has started. */
async function childrenOf(pid: number): Promise<number[]> {
  const list = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return list.split(' ').filter(Boolean).map(Number);
}

/** Whether a process has not ended; one whose end nobody has asked for yet (a zombie) has. */
async function isRunning(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return /^\d+ \(.*\) [^ZX]/.test(status);
}

async function binaries(): Promise<string> {
  const root = '/usr/lib/postgresql';
  const versions = await readdir(root).catch(() => []);
  const newest = versions.sort((a, b) => Number(b) - Number(a))[0];
  if (newest === undefined) {
    throw new Error('these tests need a PostgreSQL: apt-get install postgresql');
  }
  return join(root, newest, 'bin');
}

async function idsOf(name: string): Promise<{ uid: number; gid: number }> {
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map(async (which) => Number((await run('id', [which, name])).stdout)),
  );
  return { uid: uid!, gid: gid! };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
