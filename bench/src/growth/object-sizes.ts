import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { silentLogger } from '@granary/kad';
import { Renter, RenterKeys } from '@granary/renter';
import { granaryCommand } from '../granary-command.js';
import { childCpuMs } from '../child-cpu.js';
import type { Point } from './curve.js';

const KIB = 1024;
const MIB = 1024 * KIB;
/** Small objects are stored so often that the clock's ticks of CPU do not matter. */
const LEAST_BYTES = 8 * MIB;
const MOST_OBJECTS = 32;

/**
 * CPU of putting and of getting one object, all processes together (a renter and 12 farmers), in milliseconds, by
 * its size in bytes.
 */
export async function objectSizes(
  most: number,
  report: (line: string) => void,
): Promise<{ put: Point[]; get: Point[] }> {
  const directory = await mkdtemp(join(tmpdir(), 'granary-bench-growth-'));
  const network = spawn(
    process.execPath,
    [
      ...granaryCommand,
      'network',
      '--json',
      '--space',
      '100GB',
      '--dir',
      join(directory, 'network'),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const gone = new Promise<never>((_, reject) =>
    network.once('exit', (code) => reject(new Error(`the network ended with ${code}`))),
  );
  gone.catch(() => undefined);
  try {
    const line = new Promise<string>((resolve) =>
      createInterface({ input: network.stdout }).once('line', resolve),
    );
    const { bootstrap } = JSON.parse(await Promise.race([line, gone])) as { bootstrap: string };
    const renter = await Renter.open({
      directory: join(directory, 'renter'),
      keys: RenterKeys.fromEntropy(randomBytes(32)),
      bootstrap: [bootstrap],
      logger: silentLogger,
    });
    /** CPU of a piece of work, of this process and of the farmers. */
    const cpuOf = async (work: () => Promise<void>) => {
      const farmers = await childCpuMs(network.pid!);
      if (farmers === undefined) throw new Error('this needs /proc of Linux');
      const own = process.cpuUsage();
      await work();
      const { user, system } = process.cpuUsage(own);
      return (user + system) / 1000 + (await childCpuMs(network.pid!))! - farmers;
    };
    const put: Point[] = [];
    const get: Point[] = [];
    const file = join(directory, 'source');
    for (let size = KIB; size <= most; size *= 4) {
      const objects = Math.min(MOST_OBJECTS, Math.max(1, Math.floor(LEAST_BYTES / size)));
      const handle = await open(file, 'w');
      for (let at = 0; at < size; at += MIB)
        await handle.write(randomBytes(Math.min(MIB, size - at)));
      await handle.close();
      const path = (i: number) => ({ bucket: 'bench', name: `${size}-${i}` });
      const putting = await cpuOf(async () => {
        for (let i = 0; i < objects; i += 1)
          await renter.put(path(i), { kind: 'file', path: file });
      });
      const getting = await cpuOf(async () => {
        for (let i = 0; i < objects; i += 1) {
          let read = 0;
          for await (const part of renter.get(path(i))) read += part.length;
          if (read !== size) throw new Error('the get was short');
        }
      });
      put.push({ n: size, cost: putting / objects });
      get.push({ n: size, cost: getting / objects });
      report(
        `  ${String(size).padStart(11)} bytes: put ${(putting / objects).toFixed(2)} ms of CPU, get ${(getting / objects).toFixed(2)}`,
      );
      for (let i = 0; i < objects; i += 1) await renter.delete(path(i));
    }
    await renter.close();
    return { put, get };
  } finally {
    network.kill('SIGTERM');
    if (network.exitCode === null) await gone.catch(() => undefined);
    await rm(directory, { recursive: true, force: true });
  }
}
