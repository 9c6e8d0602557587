import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { granary } from './support/granary.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'granary-identity-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const lines = (stdout: Buffer) =>
  stdout
    .toString()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe('granary identity', () => {
  it('makes an identity with the work asked for, which a farmer then uses', async () => {
    const data = join(directory, 'one');
    const file = join(data, 'identity.json');
    const made = await granary(['identity', '--data', data, '--difficulty', '12', '--json']);
    expect(made.code).toBe(0);
    const last = lines(made.stdout).at(-1)!;
    expect(last).toMatchObject({ event: 'made', file });
    expect(last['difficulty']).toBeGreaterThanOrEqual(12);
    expect((await stat(file)).mode & 0o777).toBe(0o600);

    const shown = await granary(['identity', '--data', data, '--show']);
    expect(shown.stdout.toString()).toBe(
      `${String(last['nodeId'])}\nIts proof of work has ${String(last['difficulty'])} bits.\n`,
    );
    const farm = await granary(['farm', '--data', data, '--json'], {
      onStart: (child) => child.stdout!.once('data', () => child.kill('SIGINT')),
    });
    expect(lines(farm.stdout)[0]).toMatchObject({ event: 'ready', nodeId: last['nodeId'] });
  });

  it('never replaces an identity', async () => {
    const data = join(directory, 'two');
    expect((await granary(['identity', '--data', data])).code).toBe(0);
    const before = await readFile(join(data, 'identity.json'));
    const again = await granary(['identity', '--data', data, '--difficulty', '1']);
    expect(again.code).toBe(14);
    expect(again.stderr).toContain('already');
    expect(await readFile(join(data, 'identity.json'))).toEqual(before);
  });

  it('is stopped by Ctrl-C, and then leaves nothing', async () => {
    const data = join(directory, 'three');
    const stopped = await granary(['identity', '--data', data, '--difficulty', '60', '--json'], {
      // It searches once it tells of its progress.
      onStart: (child) => child.stdout!.once('data', () => child.kill('SIGINT')),
    });
    expect(stopped.code).toBe(130);
    expect(JSON.parse(stopped.stderr)).toMatchObject({ error: { code: 'CLI_INTERRUPTED' } });
    expect(lines(stopped.stdout)[0]).toMatchObject({
      event: 'progress',
      expectedAttempts: 2 ** 60,
    });
    expect(await readdir(directory)).not.toContain('three');
  });

  it('says what is wrong with what it was told', async () => {
    const file = join(directory, 'file');
    await writeFile(file, '');
    const data = join(directory, 'four');
    for (const args of [
      ['--data', data, '--difficulty', 'many'],
      ['--data', data, '--difficulty', '65'],
      ['--data', data, '--threads', '0'],
      ['--data', file],
      [],
    ]) {
      const { code, stderr } = await granary(['identity', ...args]);
      expect([args, code]).toEqual([args, 2]);
      expect(stderr).not.toBe('');
    }
    const none = await granary(['identity', '--data', data, '--show']);
    expect(none.code).toBe(4);
    expect(none.stderr).toContain('there is no identity');
  });
});
