import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UsageError, simulate } from './command.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'simulate-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function run(line: string): Promise<string[]> {
  const lines: string[] = [];
  await simulate(line.split(' '), (text) => lines.push(text));
  return lines;
}

const rows = async (line: string) =>
  (await run(`${line} --json`)).map((text) => JSON.parse(text) as Record<string, number | string>);

describe('the command', () => {
  it('prints a table and writes CSV and SVG', async () => {
    const [table, plot] = [join(folder, 'rows.csv'), join(folder, 'plot.svg')];
    const lines = await run(`growth --nodes 20,40,60 --lookups 10 --csv ${table} --svg ${plot}`);
    expect(lines[1]).toMatch(/^\| nodes \| lookups \| found %/);
    expect(lines[2]).toMatch(/^\| 20 \| 10 \| 100 \|/);
    expect(lines.join('\n')).toMatch(/hops = [-\d.]+ \+ [-\d.]+ log2\(nodes\)/);
    expect((await readFile(table, 'utf8')).split('\n')).toHaveLength(5);
    const svg = await readFile(plot, 'utf8');
    expect(svg).toMatch(/^<svg /);
    expect(svg).toContain('Lookups without churn');
    expect(svg).toContain('xmlns="http://www.w3.org/2000/svg"');
  });

  it('gives the same rows for the same seed, and others for another', async () => {
    const line = 'churn --nodes 30 --sessions 5 --lookups 20 --warmup 2 --minutes 1';
    const timeless = async (seed: string) =>
      (await rows(`${line} --seed ${seed}`)).map((row) => ({ ...row, 'wall s': 0 }));
    const first = await timeless('a');
    expect(await timeless('a')).toEqual(first);
    expect(await timeless('b')).not.toEqual(first);
  });

  it('attacks', async () => {
    const attacked = await rows('attack --nodes 60 --lookups 10 --malicious 0.3 --only misroute');
    expect(attacked.map((row) => row['lookup'])).toEqual([
      'plain Kademlia',
      'S/Kademlia d=1',
      'S/Kademlia d=2',
      'S/Kademlia d=4',
      'S/Kademlia d=8',
      'our defaults',
    ]);
  }, 240_000);

  it('eclipses a key', async () => {
    const eclipsed = await rows('eclipse --nodes 40 --lookups 5 --minutes 2');
    expect(eclipsed.filter((row) => row['attackers'] === 0).map((row) => row['found %'])).toEqual([
      100, 100,
    ]);
  }, 240_000);

  it('lets values live', async () => {
    const [kept] = await rows('survival --nodes 40 --sessions 60 --lookups 10 --minutes 60');
    expect(kept).toMatchObject({ hours: 1, values: 10, 'held by somebody %': 100 });
  }, 240_000);

  it('says what is wrong with a command line', async () => {
    const wrong = {
      grwth: 'there is no scenario grwth',
      'growth --nodes 1': '--nodes 1 is not a whole number of at least 2',
      'growth --nodes 10,x': '--nodes x is not',
      'growth --loss 2': '--loss 2 is not a number from 0 to 0.99',
      'growth --start cold': '--start is one of join, warm, auto',
      'growth --fast': "Unknown option '--fast'",
      'attack --nodes 30 --lookups 5 --only nothing': 'fits none of the variants',
    };
    for (const [line, message] of Object.entries(wrong)) {
      const error: unknown = await run(line).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(UsageError);
      expect((error as Error).message).toContain(message);
    }
  });

  it('helps', async () => {
    const [help] = await run('--help');
    for (const name of [
      'growth',
      'churn',
      'survival',
      'attack',
      'eclipse',
      'parameters',
      'memory',
    ]) {
      expect(help).toContain(`  ${name}`);
    }
    expect(help).toContain('Examples:');
  });
});
