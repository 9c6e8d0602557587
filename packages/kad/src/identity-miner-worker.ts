import { parentPort, workerData } from 'node:worker_threads';
import type { MinerJob, MinerMessage } from './identity-miner.js';
import { KEYS_PER_BATCH, KeySearch } from './key-search.js';
import { systemRandom } from './random.js';

/** Search until a key is found. Whoever started this thread ends it when it has enough. */
function run({ difficulty, reportMs }: MinerJob): void {
  const search = new KeySearch(difficulty, systemRandom);
  let attempts = 0;
  let reported = performance.now();
  for (;;) {
    const privateKey = search.tryBatch();
    attempts += KEYS_PER_BATCH;
    if (privateKey !== undefined) {
      const key = Uint8Array.from(privateKey);
      // The buffer is given away, so that no copy of the key stays here.
      parentPort?.postMessage({ attempts, privateKey: key } satisfies MinerMessage, [key.buffer]);
      privateKey.fill(0);
      return;
    }
    if (performance.now() - reported < reportMs) continue;
    parentPort?.postMessage({ attempts } satisfies MinerMessage);
    attempts = 0;
    reported = performance.now();
  }
}

run(workerData as MinerJob);
