import { type AccountSummary, daysAsCsv, formatFine, summarise } from '@granary/payments';
import { CliError } from '../cli-error.js';
import type { Context } from '../context.js';
import { table } from '../output.js';
import { type PaymentContext, hasSpent, withBook } from '../payment-context.js';

/** Options of `granary earnings` and `granary costs`. */
export interface AccountOptions {
  readonly data?: string;
  readonly csv?: boolean;
  readonly from?: string;
  readonly days?: boolean;
}

/** `granary costs`: what this renter, or a farmer that uses tunnels, owes, to whom and for what. */
export async function costs(context: Context, options: AccountOptions): Promise<void> {
  const { data } = options;
  if (data === undefined) return accounts(context, undefined, options, 'earned');
  if (await hasSpent(data)) return accounts(context, data, options, 'spent');
  // The directory is looked at all the same: it may be a wrong one.
  await withBook(context, data, () => Promise.resolve());
  context.output.result({ role: 'farmer', accounts: [] });
  context.output.line('This node has never paid for a tunnel.');
}

/** `granary earnings`: what a farmer or a tunnel is owed, by whom and for what. */
export function earnings(context: Context, options: AccountOptions): Promise<void> {
  return accounts(context, options.data, options, 'earned');
}

const NOTHING = {
  farmer: 'Nothing was ever owed to a farmer: all that is stored is for free.',
  renter: 'Nobody has ever owed this farmer anything: its prices are 0, or nobody came.',
  client: 'Nobody has ever owed this tunnel anything: its price is 0, or nobody came.',
  tunnel: 'Nothing was ever owed to a tunnel.',
};

async function accounts(
  context: Context,
  data: string | undefined,
  { csv, from = '', days }: AccountOptions,
  kind: 'earned' | 'spent',
): Promise<void> {
  const { output } = context;
  if (from !== '' && !/^\d{4}-\d{2}-\d{2}$/.test(from)) {
    throw new CliError('CLI_USAGE', `--from ${from}: write a day like 2030-01-31`);
  }
  const work = ({ book, role, others }: PaymentContext) => {
    if (csv === true) {
      for (const line of daysAsCsv(book, from)) process.stdout.write(line);
      return Promise.resolve();
    }
    if (days === true) {
      const rows = [...book.days(from)].map((row) => ({
        day: row.day,
        peer: row.peer,
        currency: row.currency,
        storage: formatFine(row.storage),
        egress: formatFine(row.egress),
        tunnel: formatFine(row.tunnel),
        promised: row.promised.toString(),
        settled: row.settled.toString(),
      }));
      for (const row of rows) output.result(row);
      output.line(
        table([
          ['day', others, 'storage', 'egress', 'tunnel', 'paid'],
          ...rows.map((row) => [
            row.day,
            row.peer.slice(0, 12),
            short(row.storage),
            short(row.egress),
            short(row.tunnel),
            row.promised,
          ]),
        ]),
      );
      return Promise.resolve();
    }
    const summaries = summarise(book, Date.now());
    output.result({ role, accounts: summaries });
    if (summaries.length === 0) {
      output.line(NOTHING[others]);
      return Promise.resolve();
    }
    const rows = summaries.map((one) => [
      one.peer.slice(0, 12),
      short(one.storage),
      short(one.egress),
      short(one.tunnel),
      one.promised,
      one.settled,
      short(one.unpaid),
      short(one.unaudited),
      short(one.expected),
    ]);
    const currencies = [...new Set(summaries.map(({ currency }) => currency))];
    for (const currency of currencies) {
      const mine = rows.filter((_, i) => summaries[i]!.currency === currency);
      output.line(`In ${currency}, in its smallest unit:`);
      output.line(
        table([
          [
            others,
            'storage',
            'egress',
            'tunnel',
            'paid',
            'settled',
            'due',
            'to audit',
            'next 30 days',
          ],
          ...mine,
          totals(summaries.filter((one) => one.currency === currency)),
        ]),
      );
    }
    return Promise.resolve();
  };
  await withBook(context, data, work, kind);
}

/** At most four decimals, for tables; --json has them all. */
function short(amount: string): string {
  return amount.replace(/(\.\d{4})\d+$/, '$1');
}

function totals(all: readonly AccountSummary[]): string[] {
  const SCALE = 10n ** 12n;
  const parse = (text: string) => {
    const [whole = '0', decimals = ''] = text.split('.');
    return BigInt(whole) * SCALE + BigInt(decimals.padEnd(12, '0'));
  };
  const sum = (
    key:
      | 'storage'
      | 'egress'
      | 'tunnel'
      | 'promised'
      | 'settled'
      | 'unpaid'
      | 'unaudited'
      | 'expected',
  ) => {
    const value = all.reduce((total, one) => total + parse(one[key]), 0n);
    const decimals = (value % SCALE).toString().padStart(12, '0').replace(/0+$/, '');
    return short(`${value / SCALE}${decimals === '' ? '' : `.${decimals}`}`);
  };
  return [
    'all',
    sum('storage'),
    sum('egress'),
    sum('tunnel'),
    sum('promised'),
    sum('settled'),
    sum('unpaid'),
    sum('unaudited'),
    sum('expected'),
  ];
}
