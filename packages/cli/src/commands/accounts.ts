import { type AccountSummary, daysAsCsv, formatFine, summarise } from '@granary/payments';
import { CliError } from '../cli-error.js';
import type { Context } from '../context.js';
import { table } from '../output.js';
import { withBook } from '../payment-context.js';

/** Options of `granary earnings` and `granary costs`. */
export interface AccountOptions {
  readonly data?: string;
  readonly csv?: boolean;
  readonly from?: string;
  readonly days?: boolean;
}

/** `granary costs`: what this renter owes, to whom and for what. */
export function costs(context: Context, options: AccountOptions): Promise<void> {
  return accounts(context, undefined, options);
}

/** `granary earnings`: what a farmer is owed, by whom and for what. */
export function earnings(context: Context, options: AccountOptions): Promise<void> {
  return accounts(context, options.data, options);
}

async function accounts(
  context: Context,
  data: string | undefined,
  { csv, from = '', days }: AccountOptions,
): Promise<void> {
  const { output } = context;
  if (from !== '' && !/^\d{4}-\d{2}-\d{2}$/.test(from)) {
    throw new CliError('CLI_USAGE', `--from ${from}: write a day like 2030-01-31`);
  }
  await withBook(context, data, ({ book, role }) => {
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
          ['day', role === 'renter' ? 'farmer' : 'renter', 'storage', 'egress', 'tunnel', 'paid'],
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
      output.line(
        role === 'renter'
          ? 'Nothing was ever owed to a farmer: all that is stored is for free.'
          : 'No renter has ever owed this farmer anything: its prices are 0, or nobody came.',
      );
      return Promise.resolve();
    }
    const who = role === 'renter' ? 'farmer' : 'renter';
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
            who,
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
  });
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
