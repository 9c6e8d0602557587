import { parseArgs } from 'node:util';
import { type Measured, type Plan, measure } from './measure.js';
import { SYSTEMS } from './systems.js';

const PLAN: Plan = {
  nodes: 100,
  processes: 4,
  joining: 2,
  joinMs: 90_000,
  single: 50,
  singleMs: 10_000,
  parallel: 2,
  throughputMs: 6_000,
  settleMs: 2_000,
  idleMs: 10_000,
};

type Row = readonly [label: string, better: 'less' | 'more', value: (m: Measured) => number];

const ROWS: readonly Row[] = [
  ['nodes that joined', 'more', (m) => m.nodes],
  ['the last had joined after, s', 'less', (m) => m.joinSeconds],
  ['ten lookups in a row right, s', 'less', (m) => m.readySeconds ?? NaN],
  ['joins that failed at first', 'less', (m) => m.joinRetries],
  ['CPU of a join, ms', 'less', (m) => m.joinCpuMs],
  ['one lookup, median, ms', 'less', (m) => m.singleMedianMs],
  ['one lookup, 95th percentile, ms', 'less', (m) => m.singleP95Ms],
  ['lookups a second', 'more', (m) => m.lookupsPerSecond],
  ['CPU of a lookup, ms', 'less', (m) => m.cpuMsPerLookup],
  ['questions of a lookup', 'less', (m) => m.messagesPerLookup],
  ['CPU of a question, ms', 'less', (m) => m.cpuMsPerLookup / m.messagesPerLookup],
  ['found the closest node, %', 'more', (m) => m.foundClosest * 100],
  ['found of the 20 closest, %', 'more', (m) => m.foundTwenty * 100],
  ['lookups that failed', 'less', (m) => m.failed],
  ['CPU of an idle node, ms a second', 'less', (m) => m.idleCpuMsPerSecond],
  ['memory of all processes, MB', 'less', (m) => m.rssBytes / 1e6],
  ['the same before any node, MB', 'less', (m) => m.emptyRssBytes / 1e6],
  ['memory of a node, MB', 'less', (m) => (m.rssBytes - m.emptyRssBytes) / m.nodes / 1e6],
];

/**
 * Our DHT beside others, in one run: the same processes, the same number of nodes, the same
 * questions, real sockets on loopback. `--nodes N` or GRANARY_BENCH_PEER_NODES names their number; 100 when not given.
 */
export async function benchDhtPeers(report: (line: string) => void): Promise<void> {
  const { values } = parseArgs({
    args: process.argv.slice(2),
    strict: false,
    options: {
      nodes: { type: 'string' },
      processes: { type: 'string' },
      systems: { type: 'string' },
      profile: { type: 'string' },
    },
  });
  const plan: Plan = {
    ...PLAN,
    nodes: Number(values.nodes ?? process.env['GRANARY_BENCH_PEER_NODES'] ?? PLAN.nodes),
    ...(values.processes !== undefined && { processes: Number(values.processes) }),
  };
  const names =
    values.systems === undefined ? Object.keys(SYSTEMS) : String(values.systems).split(',');
  const profile =
    values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${String(values.profile)}`];
  report(
    `  ${plan.nodes} nodes of each in ${plan.processes} processes, ${plan.joining * plan.processes} joining at a time;`,
  );
  report(
    `  joins may begin for ${plan.joinMs / 1000} s; at most ${plan.single} lookups one by one, then ${plan.parallel * plan.processes} at a time for ${plan.throughputMs / 1000} s; ${plan.idleMs / 1000} s idle`,
  );
  const measured: Measured[] = [];
  for (const name of names) {
    if (SYSTEMS[name] === undefined) throw new Error(`there is no system ${name}`);
    try {
      const begun = performance.now();
      measured.push(await measure(name, plan, profile));
      report(
        `  ${name}: ${SYSTEMS[name].about}; measured in ${((performance.now() - begun) / 1000).toFixed(0)} s`,
      );
    } catch (error) {
      report(`  ${name} could not be measured: ${String(error)}`);
    }
  }
  for (const line of comparison(measured)) report(`  ${line}`);
}

/** The table: what each did, and for others how much better (above 1) or worse ours was. */
export function comparison(measured: readonly Measured[]): string[] {
  const [ours, ...others] = measured;
  if (ours === undefined) return [];
  const lines = [['', ours.system, ...others.flatMap(({ system }) => [system, ''])]];
  const lost: string[] = [];
  for (const [label, better, value] of ROWS) {
    const own = value(ours);
    const cells = [label, number(own)];
    for (const other of others) {
      const theirs = value(other);
      const ratio = better === 'more' ? own / theirs : theirs / own;
      cells.push(number(theirs), Number.isFinite(ratio) ? `×${ratio.toFixed(2)}` : '');
      if (ratio < 0.95) lost.push(`${label} (${other.system}: ×${ratio.toFixed(2)})`);
    }
    lines.push(cells);
  }
  const widths = lines[0]!.map((_, c) => Math.max(...lines.map((cells) => cells[c]?.length ?? 0)));
  const text = lines.map((cells) =>
    cells
      .map((cell, c) => (c === 0 ? cell.padEnd(widths[c]!) : cell.padStart(widths[c]!)))
      .join('  ')
      .trimEnd(),
  );
  return [
    ...text,
    `× is how much better ${ours.system} is than the one to its left; below 1 it is worse.`,
    lost.length === 0 ? 'Worse in nothing.' : `Worse in: ${lost.join('; ')}.`,
  ];
}

function number(value: number): string {
  if (!Number.isFinite(value)) return '-';
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
