import { randomBytes } from 'node:crypto';
import type { PeerLookup, PeerNode } from './peer-system.js';
import { SYSTEMS } from './systems.js';

/** What a process that runs nodes can be asked, and what it answers. */
export interface ChildOperations {
  load(args: { system: string }): void;
  /** Start nodes; none is begun after `joinMs`, so that fewer than asked for may come back. */
  start(args: {
    count: number;
    concurrency: number;
    joinMs: number;
    bootstrap?: string;
  }): StartedNode[];
  lookup(args: { node: number }): TimedLookup;
  lookups(args: { ms: number; concurrency: number }): TimedLookup[];
  usage(args: object): Usage;
  stop(args: object): void;
}

/** A node that has joined. */
export interface StartedNode {
  readonly id: string;
  readonly address: string;
  /** Milliseconds from its start until it said that it was in. */
  readonly ms: number;
  /** Times that it had to be tried again. */
  readonly retries: number;
}

/** A lookup, who made it and how long it took; without a result it failed. */
export interface TimedLookup {
  readonly by: string;
  readonly ms: number;
  readonly result?: PeerLookup;
  readonly error?: string;
}

/** What a process has used: CPU since its start, and memory after a collection. */
export interface Usage {
  readonly cpuMs: number;
  readonly rssBytes: number;
}

type Operation = keyof ChildOperations;
/** A question to such a process. */
export interface ChildRequest {
  readonly id: number;
  readonly operation: Operation;
  readonly args: Parameters<ChildOperations[Operation]>[0];
}
/** Its answer. */
export interface ChildResponse {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** A join that fails is tried again so often, with a new node. */
const MAX_RETRIES = 3;

const nodes: PeerNode[] = [];
let system: Awaited<ReturnType<(typeof SYSTEMS)[string]['load']>> | undefined;

/** Run `work` so many times, at most `concurrency` at a time. */
async function pool(concurrency: number, next: () => (() => Promise<void>) | undefined) {
  const worker = async () => {
    for (let work = next(); work !== undefined; work = next()) await work();
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
}

async function timedLookup(node: PeerNode): Promise<TimedLookup> {
  const begun = performance.now();
  const by = node.id;
  try {
    const result = await node.lookup(randomBytes(32));
    return { by, ms: performance.now() - begun, result };
  } catch (error) {
    return { by, ms: performance.now() - begun, error: String(error) };
  }
}

const operations: {
  [O in Operation]: (
    args: Parameters<ChildOperations[O]>[0],
  ) => Promise<ReturnType<ChildOperations[O]>>;
} = {
  async load({ system: name }) {
    system = await SYSTEMS[name]!.load();
  },
  async start({ count, concurrency, joinMs, bootstrap }) {
    const until = performance.now() + joinMs;
    const started: StartedNode[] = [];
    let left = count;
    await pool(concurrency, () => {
      if (left-- <= 0 || performance.now() > until) return undefined;
      return async () => {
        const begun = performance.now();
        for (let retries = 0; ; retries += 1) {
          try {
            const node = await system!.start(bootstrap);
            nodes.push(node);
            const ms = performance.now() - begun;
            started.push({ id: node.id, address: node.address, ms, retries });
            return;
          } catch (error) {
            if (retries < MAX_RETRIES) continue;
            // One node less; that nobody can start is another matter.
            if (bootstrap === undefined) throw error;
            return;
          }
        }
      };
    });
    return started;
  },
  lookup: ({ node }) => timedLookup(nodes[node % nodes.length]!),
  async lookups({ ms, concurrency }) {
    const until = performance.now() + ms;
    const done: TimedLookup[] = [];
    let next = 0;
    await pool(concurrency, () => {
      if (performance.now() >= until) return undefined;
      const node = nodes[next++ % nodes.length]!;
      return async () => {
        done.push(await timedLookup(node));
      };
    });
    return done;
  },
  usage() {
    (globalThis as { gc?: () => void }).gc?.();
    const { user, system: kernel } = process.cpuUsage();
    return Promise.resolve({
      cpuMs: (user + kernel) / 1000,
      rssBytes: process.memoryUsage.rss(),
    });
  },
  async stop() {
    await Promise.allSettled(nodes.map((node) => node.stop()));
  },
};

process.on('message', ({ id, operation, args }: ChildRequest) => {
  (operations[operation] as (args: unknown) => Promise<unknown>)(args).then(
    (result) => process.send!({ id, result } satisfies ChildResponse),
    (error: unknown) => process.send!({ id, error: String(error) } satisfies ChildResponse),
  );
});
// The end of whoever started us is ours.
process.on('disconnect', () => process.exit());
