import { type PaymentBook, formatFine, owed } from '@granary/payments';
import type { Money } from '@granary/web';

const DAYS_MS = 30 * 24 * 3600 * 1000;
const MAX_CURRENCIES = 20;
const MAX_DAYS = 200;

interface Sums {
  peers: number;
  owed: bigint;
  promised: bigint;
  settled: bigint;
  unpaid: bigint;
}

/** What a book says was earned or spent. @param now - milliseconds since the epoch */
export function moneyView(book: PaymentBook, direction: Money['direction'], now: number): Money {
  const sums = new Map<string, Sums>();
  for (const account of book.accounts()) {
    const { peer, currency } = account;
    const sum = sums.get(currency) ?? { peers: 0, owed: 0n, promised: 0n, settled: 0n, unpaid: 0n };
    if (!sums.has(currency) && sums.size >= MAX_CURRENCIES) continue;
    sums.set(currency, sum);
    const due = owed(account);
    const promised = book.promised(peer, currency);
    sum.peers += 1;
    sum.owed += due;
    sum.promised += promised;
    sum.settled += book.settled(peer, currency);
    if (due > promised) sum.unpaid += due - promised;
  }
  const days = new Map<string, bigint>();
  const first = new Date(now - DAYS_MS).toISOString().slice(0, 10);
  for (const row of book.days(first)) {
    const key = `${row.day} ${row.currency}`;
    const charged = row.storage + row.egress + row.tunnel;
    days.set(key, (days.get(key) ?? 0n) + charged);
  }
  return {
    direction,
    accounts: [...sums].map(([currency, { peers, ...amounts }]) => ({
      currency,
      peers,
      owed: String(amounts.owed),
      promised: String(amounts.promised),
      settled: String(amounts.settled),
      unpaid: String(amounts.unpaid),
    })),
    days: [...days].slice(-MAX_DAYS).map(([key, fine]) => ({
      day: key.slice(0, 10),
      currency: key.slice(11),
      charged: formatFine(fine),
    })),
  };
}
