// The thread of a WorkerEngine in Node.
import { parentPort } from 'node:worker_threads';
import { ShortLivedBuffers } from '@granary/kad';
import { THREAD_READY, type WorkerJob, bytesOf } from './segment-engine.js';
import { answerJob } from './segment-work.js';

// Ciphers give every chunk in a buffer of its own.
const buffers = new ShortLivedBuffers();
const sizeOf = (job: WorkerJob) =>
  job.kind === 'encode'
    ? job.args[2].length
    : bytesOf((job.kind === 'decode' ? job.args[3] : job.args[2]).values());

parentPort?.on('message', (job: WorkerJob) => {
  const bytes = sizeOf(job);
  void answerJob(job).then(({ answer, transfer }) => {
    parentPort?.postMessage(answer, transfer);
    buffers.note(bytes);
  });
});

parentPort?.postMessage(THREAD_READY);
