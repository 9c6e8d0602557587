import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import {
  MAX_MINING_DIFFICULTY,
  type MinerJob,
  type MiningProgress,
  mineIdentity,
} from './identity-miner.js';
import { difficultyOf } from './proof-of-work.js';

const loader = new URL('./typescript-loader.test-support.mjs', import.meta.url).href;
const workers: Worker[] = [];

/** The worker of the sources, in a real thread. */
function startWorker(job: MinerJob): Worker {
  const worker = new Worker(new URL('./identity-miner-worker.ts', import.meta.url), {
    workerData: job,
    execArgv: [
      '--import',
      `data:text/javascript,import{register}from'node:module';register('${loader}')`,
    ],
  });
  workers.push(worker);
  return worker;
}

/** A thread that does something else. */
const startOther = (code: string) => (job: MinerJob) => {
  const worker = new Worker(code, { eval: true, workerData: job });
  workers.push(worker);
  return worker;
};

const withCode = (code: string) => expect.objectContaining({ code }) as Error;
const allEnded = () => workers.every(({ threadId }) => threadId === -1);

describe('mineIdentity', () => {
  it('finds an identity that meets the difficulty, and tells how it goes', async () => {
    const seen: MiningProgress[] = [];
    const onProgress = (progress: MiningProgress) => seen.push(progress);
    const found = await mineIdentity({
      difficulty: 16,
      threads: 2,
      progressMs: 1,
      onProgress,
      startWorker,
    });
    expect(difficultyOf(found.identity.nodeId)).toBe(found.difficulty);
    expect(found.difficulty).toBeGreaterThanOrEqual(16);
    expect(found.attempts).toBeGreaterThan(0);
    for (const [i, { attempts, chance, expectedAttempts }] of seen.entries()) {
      expect(attempts).toBeGreaterThan(seen[i - 1]?.attempts ?? 0);
      expect(attempts).toBeLessThanOrEqual(found.attempts);
      expect(expectedAttempts).toBe(65_536);
      expect(chance).toBeCloseTo(1 - (1 - 2 ** -16) ** attempts, 9);
    }
    expect(allEnded()).toBe(true);
  });

  it('finds another identity each time', async () => {
    const options = { difficulty: 0, threads: 1, startWorker };
    const [a, b] = await Promise.all([mineIdentity(options), mineIdentity(options)]);
    expect(a.identity.nodeId).not.toBe(b.identity.nodeId);
  });

  it('ends its threads when it is aborted, in the middle or before', async () => {
    const abort = new AbortController();
    const reason = new Error('enough');
    const search = mineIdentity({
      difficulty: 64,
      threads: 2,
      progressMs: 1,
      signal: abort.signal,
      onProgress: () => abort.abort(reason),
      startWorker,
    });
    await expect(search).rejects.toThrow(withCode('KAD_ABORTED'));
    await expect(search).rejects.toMatchObject({ cause: reason });
    expect(allEnded()).toBe(true);
    const started = workers.length;
    await expect(
      mineIdentity({ difficulty: 1, signal: abort.signal, startWorker }),
    ).rejects.toThrow(withCode('KAD_ABORTED'));
    expect(workers.length).toBe(started);
  });

  it.each([
    ['throws', 'throw new Error("broken")', 'broken'],
    ['exits', 'process.exit(3)', 'code 3'],
    ['ends without a word', '', 'code 0'],
    [
      'runs out of memory',
      'const all = []; for (;;) all.push(new Array(1e6).fill(Math.random()));',
      'memory',
    ],
  ])('fails when a thread %s, and ends the others', async (_what, code, said) => {
    let started = 0;
    const mixed = (job: MinerJob) => {
      started += 1;
      if (started === 1) return startWorker(job);
      const worker = new Worker(code, {
        eval: true,
        resourceLimits: { maxOldGenerationSizeMb: 32 },
      });
      workers.push(worker);
      return worker;
    };
    const search = mineIdentity({ difficulty: 64, threads: 2, startWorker: mixed });
    await expect(search).rejects.toThrow(withCode('KAD_MINING'));
    await expect(search).rejects.toThrow(said);
    expect(allEnded()).toBe(true);
  });

  it('fails when a thread cannot be started, and ends those that were', async () => {
    let started = 0;
    const search = mineIdentity({
      difficulty: 64,
      threads: 2,
      startWorker: (job) => {
        if (started++ > 0) throw new Error('no more threads');
        return startWorker(job);
      },
    });
    await expect(search).rejects.toThrow('no more threads');
    expect(allEnded()).toBe(true);
  });

  it('does not believe a thread that names a key which will not do', async () => {
    const liar = `require('node:worker_threads').parentPort.postMessage(
      { attempts: 1, privateKey: new Uint8Array(32).fill(7) }); setInterval(() => {}, 1000);`;
    const search = mineIdentity({ difficulty: 40, threads: 1, startWorker: startOther(liar) });
    await expect(search).rejects.toThrow(withCode('KAD_MINING'));
    expect(allEnded()).toBe(true);
  });

  it('passes on what the callback throws', async () => {
    const onProgress = () => {
      throw new Error('the bar is broken');
    };
    await expect(
      mineIdentity({ difficulty: 64, threads: 1, progressMs: 1, onProgress, startWorker }),
    ).rejects.toThrow('the bar is broken');
    expect(allEnded()).toBe(true);
  });

  it('refuses difficulties and thread counts that make no sense', async () => {
    const bad = withCode('KAD_BAD_PARAMETERS');
    for (const difficulty of [-1, 1.5, NaN, MAX_MINING_DIFFICULTY + 1]) {
      await expect(mineIdentity({ difficulty, startWorker })).rejects.toThrow(bad);
    }
    for (const threads of [0, 0.5, -1, 5000]) {
      await expect(mineIdentity({ difficulty: 1, threads, startWorker })).rejects.toThrow(bad);
    }
  });
});
