import { parentPort } from 'node:worker_threads';
import { SHARD, granaryCoder, rateOf } from './erasure-coders.js';

// A thread that encodes for as long as it is told, and says how fast it was.
parentPort!.on('message', ({ k, m, ms }: { k: number; m: number; ms: number }) => {
  void granaryCoder(k, m, 'wasm-simd').then(async (coder) => {
    parentPort!.postMessage(await rateOf(() => coder.encode(), k * SHARD, ms));
  });
});
