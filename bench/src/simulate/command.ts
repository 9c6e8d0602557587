import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { attack } from './attack.js';
import { churn } from './churn.js';
import { eclipse } from './eclipse.js';
import { growth } from './growth.js';
import { memory } from './memory.js';
import { parameters } from './parameters.js';
import { plotSvg } from './plot.js';
import { pubsub } from './pubsub.js';
import type { Row, Scenario, Settings } from './scenario.js';
import { survival } from './survival.js';
import { csv, markdownHeader, markdownRow } from './table.js';

const scenarios: Readonly<Record<string, Scenario>> = {
  growth,
  churn,
  survival,
  attack,
  eclipse,
  parameters,
  memory,
  pubsub,
};

/** What is wrong with a command line; its message says what to do. */
export class UsageError extends Error {}

const HELP = `Simulate networks of kad's nodes on virtual time.

  npm run simulate -- SCENARIO [options]

Scenarios:
${Object.entries(scenarios)
  .map(([name, { summary }]) => `  ${name.padEnd(12)}${summary}`)
  .join('\n')}

Options (each scenario has defaults of its own):
  --nodes N[,N…]       sizes of the network
  --seed TEXT          the same seed gives the same figures (default 1)
  --lookups N          lookups, or values read, for each row
  --sessions M[,M…]    median session lengths in minutes
  --warmup M           virtual minutes before anything is measured
  --minutes M          virtual minutes over which the measurement is spread
  --start KIND         join (real joins), warm (routing tables filled), auto (join up to 1,000 nodes)
  --malicious S[,S…]   shares of malicious nodes, 0 to 1 (attack)
  --loss S             share of messages lost each way, 0 to 1
  --clients S          share of nodes behind a NAT that are clients, 0 to 1
  --wrong S            share of nodes behind a NAT that wrongly say they can be reached, 0 to 1
  --graceful S         share of nodes that say goodbye, 0 to 1; the others crash
  --only TEXT[,TEXT…]  only these attacks (attack), or variants that begin so (parameters)
  --csv FILE           write the rows there
  --svg FILE           write a plot there
  --json               print the rows as JSON, one line each, and nothing else
  --help

Examples:
  npm run simulate -- growth --nodes 100,1000 --lookups 200
  npm run simulate -- churn --nodes 1000 --sessions 15 --loss 0.01 --csv churn.csv
  npm run simulate -- attack --nodes 2000 --only misroute --svg attack.svg

Networks above 10,000 nodes want more memory than Node takes by itself:
  NODE_OPTIONS=--max-old-space-size=14000 npm run simulate -- growth
`;

/**
 * The command, without its process.
 *
 * @param print - one line of output
 * @throws UsageError
 */
export async function simulate(
  args: readonly string[],
  print: (line: string) => void,
): Promise<void> {
  const { values, positionals } = parse(args);
  const [name] = positionals;
  if (values.help === true || name === undefined) return print(HELP);
  const scenario = scenarios[name];
  if (scenario === undefined || positionals.length > 1) {
    throw new UsageError(`there is no scenario ${positionals.join(' ')}: see --help`);
  }
  const settings: Settings = {
    seed: values.seed,
    nodes: numbers('nodes', values.nodes, { min: 2, whole: true }),
    sessions: numbers('sessions', values.sessions, { min: 0.1 }),
    lookups: number('lookups', values.lookups, { min: 1, whole: true }),
    warmup: number('warmup', values.warmup, { min: 0 }),
    minutes: number('minutes', values.minutes, { min: 0.1 }),
    start: oneOf('start', values.start, ['join', 'warm', 'auto']),
    loss: number('loss', values.loss, { min: 0, max: 0.99 }) ?? 0,
    clients: number('clients', values.clients, { min: 0, max: 0.9 }) ?? 0,
    wrong: number('wrong', values.wrong, { min: 0, max: 0.9 }) ?? 0,
    graceful: number('graceful', values.graceful, { min: 0, max: 1 }) ?? 0,
    malicious: numbers('malicious', values.malicious, { min: 0, max: 0.9 }),
    only: values.only?.split(','),
  };
  const json = values.json === true;
  const rows: Row[] = [];
  const began = performance.now();
  if (!json) print(`${name}, seed ${settings.seed}\n`);
  await scenario.run(settings, {
    row: (row) => {
      if (json) print(JSON.stringify(row));
      else {
        if (rows.length === 0) print(markdownHeader(Object.keys(row)));
        print(markdownRow(Object.values(row)));
      }
      rows.push(row);
    },
    note: (text) => {
      if (!json) print(`\n${text}`);
    },
  });
  if (rows.length === 0) throw new UsageError('nothing to do: --only fits none of the variants');
  if (values.csv !== undefined) await writeFile(values.csv, csv(rows));
  if (values.svg !== undefined) {
    await writeFile(values.svg, plotSvg(scenario.plot, rows, `seed ${settings.seed}`));
  }
  if (!json) print(`\n${((performance.now() - began) / 1000).toFixed(1)} s`);
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const;
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        nodes: text,
        seed: { type: 'string', default: '1' },
        lookups: text,
        sessions: text,
        warmup: text,
        minutes: text,
        start: { type: 'string', default: 'auto' },
        malicious: text,
        loss: text,
        clients: text,
        wrong: text,
        graceful: text,
        only: text,
        csv: text,
        svg: text,
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}: see --help`);
  }
}

interface Bounds {
  readonly min: number;
  readonly max?: number;
  readonly whole?: boolean;
}

function number(name: string, text: string | undefined, bounds: Bounds): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  const { min, max = Infinity, whole = false } = bounds;
  if (text === '' || !(value >= min && value <= max) || (whole && !Number.isInteger(value))) {
    const range = max === Infinity ? `of at least ${min}` : `from ${min} to ${max}`;
    throw new UsageError(`--${name} ${text} is not a ${whole ? 'whole ' : ''}number ${range}`);
  }
  return value;
}

function numbers(name: string, text: string | undefined, bounds: Bounds): number[] | undefined {
  return text?.split(',').map((part) => number(name, part, bounds)!);
}

function oneOf<T extends string>(name: string, text: string, of: readonly T[]): T {
  const found = of.find((one) => one === text);
  if (found === undefined) throw new UsageError(`--${name} is one of ${of.join(', ')}`);
  return found;
}
