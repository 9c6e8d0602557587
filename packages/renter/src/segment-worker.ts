import { parentPort } from 'node:worker_threads';
import { type WorkerAnswer, type WorkerJob, buffersOf } from './segment-engine.js';
import {
  type EncodedSegment,
  type EncodedShard,
  decodeJob,
  encodeJob,
  rebuildJob,
} from './segment-job.js';

async function perform(
  job: WorkerJob,
): Promise<{ result: EncodedSegment | EncodedShard[] | Uint8Array; transfer: ArrayBuffer[] }> {
  if (job.kind === 'encode') {
    const result = await encodeJob(...job.args);
    return { result, transfer: buffersOf(result.shards.map(({ bytes }) => bytes)) };
  }
  if (job.kind === 'rebuild') {
    const result = await rebuildJob(...job.args);
    return { result, transfer: buffersOf(result.map(({ bytes }) => bytes)) };
  }
  const result = await decodeJob(...job.args);
  return { result, transfer: buffersOf([result]) };
}

parentPort?.on('message', (job: WorkerJob) => {
  perform(job).then(
    ({ result, transfer }) =>
      parentPort?.postMessage({ id: job.id, ok: true, result } satisfies WorkerAnswer, transfer),
    (error: unknown) =>
      parentPort?.postMessage({
        id: job.id,
        ok: false,
        code: String((error as { code?: unknown }).code ?? 'UNKNOWN'),
        message: error instanceof Error ? error.message : String(error),
      } satisfies WorkerAnswer),
  );
});
