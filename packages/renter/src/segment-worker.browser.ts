// The thread of a WorkerEngine in a browser.
import { THREAD_READY, type WorkerJob } from './segment-engine.js';
import { answerJob } from './segment-work.js';

/** What is needed of a worker's global scope. */
interface Scope {
  onmessage: ((event: MessageEvent<WorkerJob>) => void) | null;
  postMessage(message: unknown, transfer: Transferable[]): void;
}
const scope = globalThis as unknown as Scope;

scope.onmessage = ({ data }) => {
  void answerJob(data).then(({ answer, transfer }) => scope.postMessage(answer, transfer));
};

scope.postMessage(THREAD_READY, []);
