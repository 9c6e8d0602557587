import type { Profiler } from 'node:inspector';
import * as Plot from '@observablehq/plot';
import { titledSvg } from './titled-svg.js';

/** A function under all that called it. Shares are of the whole time, from 0 to 1. */
export interface Frame {
  readonly name: string;
  readonly kind: 'ours' | 'libraries' | 'Node' | 'garbage';
  readonly depth: number;
  readonly from: number;
  readonly to: number;
}

/** Narrower frames would not be seen. */
const LEAST = 0.001;
const LABELLED = 0.025;
const WIDTH = 1200;
const ROW = 17;

/** What a CPU profile says, callers below those that they call; time in which nothing ran, or the profiler, is left out. */
export function framesOf({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): Frame[] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const leftOut = new Set<number>();
  const leaveOut = (id: number) => {
    leftOut.add(id);
    byId.get(id)?.children?.forEach(leaveOut);
  };
  for (const { id, callFrame } of nodes) {
    if (callFrame.functionName === '(idle)' || callFrame.url === 'node:inspector') leaveOut(id);
  }
  const own = new Map<number, number>();
  samples.forEach((id, i) => {
    if (!leftOut.has(id)) own.set(id, (own.get(id) ?? 0) + (timeDeltas[i] ?? 0));
  });
  const sums = new Map<number, number>();
  const sumOf = (id: number): number => {
    let sum = sums.get(id);
    if (sum === undefined) {
      sum = (own.get(id) ?? 0) + (byId.get(id)?.children ?? []).reduce((s, c) => s + sumOf(c), 0);
      sums.set(id, sum);
    }
    return sum;
  };
  const root = nodes[0];
  const total = root === undefined ? 0 : sumOf(root.id);
  if (root === undefined || total === 0) return [];
  const frames: Frame[] = [];
  const visit = (ids: readonly number[], depth: number, start: number) => {
    // One function may have been compiled several times, and called from several lines.
    const groups = new Map<string, number[]>();
    for (const id of ids) {
      const name = nameOf(byId.get(id)!);
      groups.set(name, [...(groups.get(name) ?? []), id]);
    }
    const ordered = [...groups].map(([name, group]) => ({
      name,
      group,
      share: group.reduce((sum, id) => sum + sumOf(id), 0) / total,
    }));
    ordered.sort((a, b) => b.share - a.share);
    let from = start;
    for (const { name, group, share } of ordered) {
      if (share < LEAST) continue;
      const kind = kindOf(byId.get(group[0]!)!);
      frames.push({ name, kind, depth, from, to: from + share });
      visit(
        group.flatMap((id) => byId.get(id)!.children ?? []),
        depth + 1,
        from,
      );
      from += share;
    }
  };
  visit(root.children ?? [], 0, 0);
  return frames;
}

function nameOf({ callFrame }: Profiler.ProfileNode): string {
  const { functionName, url } = callFrame;
  const file = url.slice(url.lastIndexOf('/') + 1);
  return `${functionName || '(anonymous)'}${file === '' ? '' : ` ${file}`}`;
}

function kindOf({ callFrame: { functionName, url } }: Profiler.ProfileNode): Frame['kind'] {
  if (functionName === '(garbage collector)') return 'garbage';
  if (url.includes('/node_modules/')) return 'libraries';
  return url.startsWith('file:') ? 'ours' : 'Node';
}

/** A flame graph (B. Gregg, ACM Queue 14(2), 2016) as the text of an SVG file. */
export function flameGraphSvg(title: string, frames: readonly Frame[]): string {
  const depths = 1 + frames.reduce((most, { depth }) => Math.max(most, depth), 0);
  const share = ({ from, to }: Frame) => `${(100 * (to - from)).toFixed(1)} %`;
  const place = { x1: 'from', x2: 'to', y1: 'depth', y2: ({ depth }: Frame) => depth + 1 };
  const options: Plot.PlotOptions = {
    width: WIDTH,
    height: 60 + depths * ROW,
    marginLeft: 5,
    marginRight: 5,
    marginTop: 40,
    marginBottom: 20,
    style: { background: 'white', color: 'black', fontSize: '10px' },
    x: { domain: [0, 1], axis: null },
    y: { domain: [0, depths], axis: null },
    color: {
      domain: ['ours', 'libraries', 'Node', 'garbage'],
      range: ['#97bbf5', '#ffd58a', '#d5d5d5', '#f4a0a0'],
    },
    marks: [
      Plot.rect(frames, {
        ...place,
        fill: 'kind',
        inset: 0.5,
        title: (frame: Frame) => `${frame.name}: ${share(frame)}`,
      }),
      Plot.text(
        frames.filter(({ from, to }) => to - from >= LABELLED),
        {
          x: 'from',
          y: ({ depth }: Frame) => depth + 0.5,
          text: (frame: Frame) => {
            const room = Math.floor(((frame.to - frame.from) * WIDTH) / 5.5) - 1;
            const text = `${frame.name} ${share(frame)}`;
            return text.length <= room ? text : `${text.slice(0, Math.max(0, room - 1))}…`;
          },
          textAnchor: 'start',
          dx: 3,
        },
      ),
    ],
  };
  return titledSvg(options, { text: title, y: 22 });
}
