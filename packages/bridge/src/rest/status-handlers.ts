import { isoTime, type AdminDeps, type RestHandlers } from './rest-context.js';

/** What is known of the bridge process. */
export interface ProcessStatus {
  readonly requests: { readonly running: number; readonly most: number };
  readonly connections: number;
}

/** What the status is made of. */
export interface StatusDeps extends Pick<AdminDeps, 'metadata' | 'clock'> {
  readonly version: string;
  /** When the process began, in milliseconds since the epoch. */
  readonly begun: number;
  /** Resolves when the network can be used. */
  readonly networkReady: (signal: AbortSignal) => Promise<void>;
  readonly process: () => ProcessStatus;
  /** Queues of jobs that bridges have. */
  readonly queues: readonly string[];
}

/** How long the network may take to show that it is there. */
const READY_MS = 5_000;

/** How the bridge does. */
export function statusHandlers(deps: StatusDeps): RestHandlers {
  const { metadata, clock, version, begun, queues } = deps;
  return {
    async getStatus({ signal }) {
      const within = AbortSignal.any([signal, AbortSignal.timeout(READY_MS)]);
      const answers = (question: Promise<unknown>) =>
        question.then(
          () => true,
          () => false,
        );
      const [database, network] = await Promise.all([
        answers(metadata.ping(within)),
        answers(deps.networkReady(within)),
      ]);
      const jobs = database
        ? await Promise.all(
            queues.map(async (queue) => ({ queue, ...(await metadata.countJobs(queue)) })),
          )
        : [];
      return {
        version,
        time: isoTime(clock.now()),
        uptimeSeconds: Math.max(0, (clock.now() - begun) / 1000),
        database,
        network,
        ...deps.process(),
        jobs,
      };
    },
  };
}
