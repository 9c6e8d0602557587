import { owed, owedFine } from './account.js';
import { FINE_PARTS, formatFine } from './amounts.js';
import { csvLine } from './csv.js';
import type { PaymentBook } from './payment-book.js';
import { accruePosition } from './position.js';

/** What stands between this node and another in one currency; amounts in units, as decimal text. */
export interface AccountSummary {
  readonly peer: string;
  readonly currency: string;
  /** Charged since they met, by purpose, with decimals. */
  readonly storage: string;
  readonly egress: string;
  readonly tunnel: string;
  /** Their sum in whole units. */
  readonly owed: string;
  readonly promised: string;
  readonly settled: string;
  /** Owed and not promised. */
  readonly unpaid: string;
  /** Storage since the last audit, with decimals: not owed before it is audited. */
  readonly unaudited: string;
  /** What storage will come to in the next 30 days if all audits are passed, with decimals. */
  readonly expected: string;
  /** Contracts that storage accrues for. */
  readonly contracts: number;
  /** Milliseconds since the epoch; 0 for never. */
  readonly audited: number;
}

const MONTH_MS = 30 * 24 * 3600 * 1000;

/** How every account of a book stands. @param now - milliseconds since the epoch */
export function summarise(book: PaymentBook, now: number): AccountSummary[] {
  return [...book.accounts()].map((account) => {
    const { peer, currency } = account;
    let [unaudited, expected, contracts] = [0n, 0n, 0];
    for (const position of book.positions(peer)) {
      if (position.currency !== currency) continue;
      const today = accruePosition(position, now);
      unaudited += today.charge;
      expected += accruePosition(today.position, now + MONTH_MS).charge;
      if (position.ended === null && position.periods.at(-1)!.until > now) contracts += 1;
    }
    const promised = book.promised(peer, currency);
    const unpaid = owedFine(account) - promised * FINE_PARTS;
    return {
      peer,
      currency,
      storage: formatFine(account.storage),
      egress: formatFine(account.egress),
      tunnel: formatFine(account.tunnel),
      owed: owed(account).toString(),
      promised: promised.toString(),
      settled: book.settled(peer, currency).toString(),
      unpaid: formatFine(unpaid > 0n ? unpaid : 0n),
      unaudited: formatFine(unaudited),
      expected: formatFine(expected),
      contracts,
      audited: account.audited,
    };
  });
}

/** What happened day by day as CSV with a heading. @param from - the first day, `YYYY-MM-DD` */
export function* daysAsCsv(book: PaymentBook, from = ''): Generator<string> {
  const heading = ['day', 'peer', 'currency', 'storage', 'egress', 'tunnel', 'promised', 'settled'];
  yield csvLine(heading);
  for (const row of book.days(from)) {
    yield csvLine([
      row.day,
      row.peer,
      row.currency,
      formatFine(row.storage),
      formatFine(row.egress),
      formatFine(row.tunnel),
      row.promised,
      row.settled,
    ]);
  }
}
