import { performance } from 'node:perf_hooks';
import type { TimedLookup } from './child.js';
import { Fleet } from './fleet.js';

/** How big, and how long. */
export interface Plan {
  readonly nodes: number;
  readonly processes: number;
  /** Nodes that join at one time in each process. */
  readonly joining: number;
  /** No node begins to join later than so many milliseconds after the first. */
  readonly joinMs: number;
  /** Lookups one after another, for at most `singleMs` milliseconds. */
  readonly single: number;
  readonly singleMs: number;
  /** Lookups at one time in each process, for the throughput. */
  readonly parallel: number;
  readonly throughputMs: number;
  readonly settleMs: number;
  readonly idleMs: number;
}

/** What was measured of one system. */
export interface Measured {
  readonly system: string;
  /** Nodes that joined in the time there was. */
  readonly nodes: number;
  /** Seconds until the last of them had joined. */
  readonly joinSeconds: number;
  /** Seconds until ten lookups in a row had found the closest node; undefined when that never was. */
  readonly readySeconds: number | undefined;
  /** Joins that failed and were tried again. */
  readonly joinRetries: number;
  /** CPU of all processes for the joins, for each node. */
  readonly joinCpuMs: number;
  readonly singleMedianMs: number;
  readonly singleP95Ms: number;
  readonly lookupsPerSecond: number;
  readonly cpuMsPerLookup: number;
  readonly messagesPerLookup: number;
  /** Share of lookups that found the node closest to the target. */
  readonly foundClosest: number;
  /** Share of the 20 closest nodes that lookups found. */
  readonly foundTwenty: number;
  readonly failed: number;
  /** CPU of an idle node, in milliseconds for a second. */
  readonly idleCpuMsPerSecond: number;
  readonly rssBytes: number;
  /** The same processes before they had a node. */
  readonly emptyRssBytes: number;
}

const WIDTH = 20;

/** The IDs closest to a target by XOR, other than the one who asks. */
export function trueClosest(ids: readonly string[], target: string, asker: string): string[] {
  const wanted = BigInt(`0x${target}`);
  return ids
    .filter((id) => id !== asker)
    .map((id) => ({ id, distance: BigInt(`0x${id}`) ^ wanted }))
    .sort((a, b) => (a.distance < b.distance ? -1 : 1))
    .slice(0, WIDTH)
    .map(({ id }) => id);
}

/** The value below which a share of a list lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

function grade(ids: readonly string[], { by, result }: TimedLookup) {
  if (result === undefined) return { closest: false, twenty: 0 };
  const expected = trueClosest(ids, result.target, by);
  const found = new Set(result.found);
  return {
    closest: found.has(expected[0]!),
    twenty: expected.filter((id) => found.has(id)).length / expected.length,
  };
}

const mean = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Run one system through everything. */
export async function measure(
  system: string,
  plan: Plan,
  execArgv: readonly string[] = [],
): Promise<Measured> {
  const fleet = new Fleet(plan.processes, execArgv);
  try {
    await fleet.all('load', () => ({ system }));
    const empty = await fleet.usage();
    const begun = performance.now();
    const [first] = await fleet.processes[0]!.call('start', {
      count: 1,
      concurrency: 1,
      joinMs: plan.joinMs,
    });
    const started = await fleet.all(
      'start',
      (i) => ({
        count: Math.floor((plan.nodes - 1 + i) / plan.processes),
        concurrency: plan.joining,
        joinMs: plan.joinMs,
        bootstrap: first!.address,
      }),
      plan.joinMs + 60_000,
    );
    const joined = performance.now();
    const afterJoin = await fleet.usage();
    const nodes = [first!, ...started.flat()];
    const ids = nodes.map(({ id }) => id);
    const readySeconds = await untilReady(fleet, ids, begun);
    await pause(plan.settleMs);

    const single: TimedLookup[] = [];
    const singleBegun = performance.now();
    for (let i = 0; i < plan.single; i += 1) {
      if (performance.now() - singleBegun > plan.singleMs) break;
      const process = fleet.processes[i % plan.processes]!;
      single.push(await process.call('lookup', { node: Math.floor(i / plan.processes) }));
    }
    const before = await fleet.usage();
    const from = performance.now();
    const many = (
      await fleet.all('lookups', () => ({ ms: plan.throughputMs, concurrency: plan.parallel }))
    ).flat();
    const seconds = (performance.now() - from) / 1000;
    const after = await fleet.usage();

    await pause(plan.settleMs);
    const idleFrom = await fleet.usage();
    const idleBegun = performance.now();
    await pause(plan.idleMs);
    const idleTo = await fleet.usage();
    const idleSeconds = (performance.now() - idleBegun) / 1000;

    const all = [...single, ...many];
    const grades = all.map((lookup) => grade(ids, lookup));
    return {
      system,
      nodes: nodes.length,
      joinSeconds: (joined - begun) / 1000,
      readySeconds,
      joinRetries: nodes.reduce((sum, { retries }) => sum + retries, 0),
      joinCpuMs: (afterJoin.cpuMs - empty.cpuMs) / nodes.length,
      singleMedianMs: quantile(
        single.map(({ ms }) => ms),
        0.5,
      ),
      singleP95Ms: quantile(
        single.map(({ ms }) => ms),
        0.95,
      ),
      lookupsPerSecond: many.length / seconds,
      cpuMsPerLookup: (after.cpuMs - before.cpuMs) / many.length,
      messagesPerLookup: mean(all.flatMap(({ result }) => (result ? [result.messages] : []))),
      foundClosest: mean(grades.map(({ closest }) => (closest ? 1 : 0))),
      foundTwenty: mean(grades.map(({ twenty }) => twenty)),
      failed: all.filter(({ result }) => result === undefined).length,
      idleCpuMsPerSecond: (idleTo.cpuMs - idleFrom.cpuMs) / idleSeconds / nodes.length,
      rssBytes: idleTo.rssBytes,
      emptyRssBytes: empty.rssBytes,
    };
  } finally {
    await fleet.end();
  }
}

/** Seconds from `begun` until ten lookups in a row, by different nodes, found the closest node. */
async function untilReady(
  fleet: Fleet,
  ids: readonly string[],
  begun: number,
): Promise<number | undefined> {
  const deadline = performance.now() + 20_000;
  for (let inRow = 0, i = 0; performance.now() < deadline; i += 1) {
    const process = fleet.processes[i % fleet.processes.length]!;
    const lookup = await process.call('lookup', { node: i });
    inRow = grade(ids, lookup).closest ? inRow + 1 : 0;
    if (inRow === 10) return (performance.now() - begun) / 1000;
  }
  return undefined;
}
