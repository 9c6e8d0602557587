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

/** Do a job in a thread, and give back what came of it with the buffers that go along. */
export async function answerJob(
  job: WorkerJob,
): Promise<{ answer: WorkerAnswer; transfer: ArrayBuffer[] }> {
  try {
    const { result, transfer } = await perform(job);
    return { answer: { id: job.id, ok: true, result }, transfer };
  } catch (error) {
    const code = String((error as { code?: unknown }).code ?? 'UNKNOWN');
    const message = error instanceof Error ? error.message : String(error);
    return { answer: { id: job.id, ok: false, code, message }, transfer: [] };
  }
}
