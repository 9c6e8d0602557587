import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { type Clock, systemClock } from './clock.js';
import { KadError, messageOf, throwIfAborted } from './errors.js';
import { Identity } from './identity.js';
import {
  chanceOfSolution,
  difficultyOf,
  expectedAttempts,
  meetsDifficulty,
} from './proof-of-work.js';

/** The highest difficulty that is tried: beyond it no machine of our days finds anything. */
export const MAX_MINING_DIFFICULTY = 64;
const MAX_THREADS = 1024;

/** How a search goes. */
export interface MiningProgress {
  /** Keys tried so far, by all threads. */
  readonly attempts: number;
  /** Keys a second, all threads together, since the beginning. */
  readonly attemptsPerSecond: number;
  /** Keys that it takes in the mean. */
  readonly expectedAttempts: number;
  /** The chance, 0 to 1, that a search as long as this one has found a key. */
  readonly chance: number;
  /** Milliseconds since the beginning. */
  readonly elapsedMs: number;
}

/** What {@link mineIdentity} is asked for. */
export interface MinerOptions {
  /** Leading zero bits that the identity's puzzle must have: 0 to {@link MAX_MINING_DIFFICULTY}. */
  readonly difficulty: number;
  /** Threads to search with; one for each core when not given. */
  readonly threads?: number;
  readonly signal?: AbortSignal;
  /** Called as threads report. */
  readonly onProgress?: (progress: MiningProgress) => void;
  /** Milliseconds between two reports of a thread. */
  readonly progressMs?: number;
  readonly clock?: Clock;
  /** Starts a thread; the worker beside this file when not given. */
  readonly startWorker?: (job: MinerJob) => Worker;
}

/** A search's result. */
export interface MinedIdentity {
  readonly identity: Identity;
  /** What the identity's puzzle has, which may be more than was asked for. */
  readonly difficulty: number;
  /** Keys tried, by all threads, as far as they had reported. */
  readonly attempts: number;
  readonly elapsedMs: number;
}

/** What a thread of the search is told. */
export interface MinerJob {
  readonly difficulty: number;
  readonly reportMs: number;
}

/** What a thread says: keys tried since it last spoke, and the key once it has found one. */
export interface MinerMessage {
  readonly attempts: number;
  readonly privateKey?: Uint8Array;
}

/**
 * Find an identity whose proof of work meets a difficulty ({@link difficultyOf}). Threads search from
 * a random start each, until the first has one; the event loop stays free. The private key comes
 * back in the result and is written nowhere.
 *
 * @throws KadError KAD_BAD_PARAMETERS; KAD_ABORTED; KAD_MINING when a thread fails.
 */
export async function mineIdentity(options: MinerOptions): Promise<MinedIdentity> {
  const { difficulty, signal, onProgress, clock = systemClock } = options;
  const { threads = availableParallelism(), startWorker = startOwnWorker } = options;
  if (!Number.isInteger(difficulty) || difficulty < 0 || difficulty > MAX_MINING_DIFFICULTY) {
    throw new KadError(
      'KAD_BAD_PARAMETERS',
      `an identity can be searched for with a difficulty of 0 to ${MAX_MINING_DIFFICULTY} bits, not ${difficulty}`,
    );
  }
  if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS) {
    throw new KadError('KAD_BAD_PARAMETERS', `threads are 1 to ${MAX_THREADS}, not ${threads}`);
  }
  throwIfAborted(signal);
  const begun = clock.now();
  const workers: Worker[] = [];
  let attempts = 0;
  let ended = false;
  let onAbort: (() => void) | undefined;
  const key = new Promise<Uint8Array>((resolve, reject) => {
    const fail = (why: string, cause?: unknown) =>
      reject(new KadError('KAD_MINING', `the search for an identity failed: ${why}`, { cause }));
    onAbort = () =>
      reject(new KadError('KAD_ABORTED', 'the search was aborted', { cause: signal?.reason }));
    signal?.addEventListener('abort', onAbort, { once: true });
    for (let i = 0; i < threads; i += 1) {
      try {
        const worker = startWorker({ difficulty, reportMs: options.progressMs ?? 250 });
        workers.push(worker);
        worker.on('message', (message: MinerMessage) => {
          // Threads still speak while they are being ended, when the result is already told.
          if (ended) return;
          attempts += message.attempts;
          if (message.privateKey !== undefined) {
            resolve(message.privateKey);
            return;
          }
          const elapsedMs = clock.now() - begun;
          try {
            onProgress?.({
              attempts,
              attemptsPerSecond: elapsedMs > 0 ? (attempts / elapsedMs) * 1000 : 0,
              expectedAttempts: expectedAttempts(difficulty),
              chance: chanceOfSolution(difficulty, attempts),
              elapsedMs,
            });
          } catch (error) {
            reject(error as Error);
          }
        });
        worker.on('error', (error) => fail(messageOf(error), error));
        worker.on('exit', (code) => fail(`a thread ended with code ${code}`));
      } catch (error) {
        fail(messageOf(error), error);
      }
    }
  });
  try {
    const privateKey = await key;
    ended = true;
    const identity = Identity.fromPrivateKey(privateKey);
    privateKey.fill(0);
    if (!meetsDifficulty(identity.nodeId, difficulty)) {
      throw new KadError('KAD_MINING', 'a thread found a key that does not meet the difficulty');
    }
    const elapsedMs = clock.now() - begun;
    return { identity, difficulty: difficultyOf(identity.nodeId), attempts, elapsedMs };
  } finally {
    ended = true;
    if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

/** The compiled worker. Node cannot load the sources, from which tests run. */
function startOwnWorker(job: MinerJob): Worker {
  const beside = import.meta.url.endsWith('.ts') ? '../dist/' : './';
  return new Worker(new URL(`${beside}identity-miner-worker.js`, import.meta.url), {
    workerData: job,
  });
}
