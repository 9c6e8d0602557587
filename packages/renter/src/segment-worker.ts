// The thread of a WorkerEngine in Node.
import { parentPort } from 'node:worker_threads';
import type { WorkerJob } from './segment-engine.js';
import { answerJob } from './segment-work.js';

parentPort?.on('message', (job: WorkerJob) => {
  void answerJob(job).then(({ answer, transfer }) => parentPort?.postMessage(answer, transfer));
});
