import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { plotSvg } from '../simulate/plot.js';
import { bucketSizes } from './bucket-sizes.js';
import { type Order, type Point, exponentOf, fitOrder } from './curve.js';
import { farmerCounts } from './farmer-counts.js';
import { nodeCounts } from './node-counts.js';
import { objectSizes } from './object-sizes.js';

const MIB = 1024 * 1024;

interface Picture {
  readonly file: string;
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly order: Order;
  readonly lines: Readonly<Record<string, readonly Point[]>>;
}

/** Draw what was measured and the curve of the expected order beside it. */
async function draw(picture: Picture, report: (line: string) => void): Promise<void> {
  const { title, order, lines, xLabel, yLabel } = picture;
  const rows = [];
  for (const [name, points] of Object.entries(lines)) {
    const fit = fitOrder(order, points);
    const off = Math.max(...points.map(({ n, cost }) => Math.abs(fit.at(n) / cost - 1)));
    report(
      `  ${name}: ${fit.fixed.toPrecision(3)} + ${fit.slope.toPrecision(3)} · ${order.replace('constant + ', '')}, ` +
        `at most ${(100 * off).toFixed(0)} % off; exponent over all ${exponentOf(points).toFixed(2)}`,
    );
    for (const { n, cost } of points) {
      rows.push({ n, cost, line: name });
      rows.push({ n, cost: fit.at(n), line: `${name}, fitted` });
    }
  }
  const directory = process.env['GRANARY_BENCH_PLOTS'];
  if (directory === undefined) return;
  const axes = { x: 'n', y: 'cost', line: 'line', xLabel, yLabel, logX: true, logY: true };
  const svg = plotSvg({ title, ...axes }, rows, `expected ${order}`);
  await writeFile(join(directory, picture.file), svg);
}

/**
 * How cost grows with work, each beside the order that is expected of it: objects by size (up to GRANARY_BENCH_MIB),
 * buckets by objects (up to GRANARY_BENCH_OBJECTS), placement by farmers (to 10,000), lookups by nodes (up to
 * GRANARY_BENCH_NODES). Plots go into the folder that GRANARY_BENCH_PLOTS names.
 */
export async function benchGrowth(report: (line: string) => void): Promise<void> {
  const number = (name: string, otherwise: number) => Number(process.env[name] ?? otherwise);
  report('CPU of placing one segment, by farmers to choose from');
  await draw(
    {
      file: 'growth-farmers.svg',
      title: 'Choosing farmers for a segment',
      xLabel: 'farmers',
      yLabel: 'ms of CPU',
      order: 'n log n',
      lines: { placement: farmerCounts(10_000, report) },
    },
    report,
  );
  report('\nCPU of an operation on a bucket (SQLite), by objects in it');
  const buckets = await bucketSizes(number('GRANARY_BENCH_OBJECTS', 100_000), report);
  await draw(
    {
      file: 'growth-buckets.svg',
      title: 'Operations on a bucket of a bridge',
      xLabel: 'objects in the bucket',
      yLabel: 'ms of CPU',
      order: 'log n',
      lines: { put: buckets.put, get: buckets.get, 'page of 100': buckets.page },
    },
    report,
  );
  report('\nCPU of a put and a get, the renter and 12 farmers together (4/6/10/12), by bytes');
  const objects = await objectSizes(number('GRANARY_BENCH_MIB', 256) * MIB, report);
  await draw(
    {
      file: 'growth-objects.svg',
      title: 'A put and a get, all processes together',
      xLabel: 'bytes of the object',
      yLabel: 'ms of CPU',
      order: 'constant + n',
      lines: objects,
    },
    report,
  );
  report('\nlookups, by nodes of a simulated network');
  const nodes = await nodeCounts(number('GRANARY_BENCH_NODES', 3200), report);
  await draw(
    {
      file: 'growth-nodes.svg',
      title: 'A lookup without churn',
      xLabel: 'nodes',
      yLabel: 'hops, messages',
      order: 'log n',
      lines: { hops: nodes.hops, messages: nodes.messages },
    },
    report,
  );
}
