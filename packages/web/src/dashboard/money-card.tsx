import { BarPlot } from '../design/bar-plot.js';
import { amount } from '../design/format.js';
import { Card, Table } from '../design/parts.js';
import type { Money } from '../messages/parts.js';

/** What was earned or spent. */
export function MoneyCard({ money }: { readonly money: Money }) {
  const earned = money.direction === 'earned';
  const title = earned ? 'Earnings' : 'Spendings';
  const main = money.accounts[0]?.currency;
  const days = money.days.filter(({ currency }) => currency === main).slice(-30);
  return (
    <Card title={title} aside={main === undefined ? undefined : 'in the smallest unit'}>
      <Table
        label={title}
        keyOf={({ currency }) => currency}
        rows={money.accounts}
        empty={
          earned
            ? 'No renter owes anything: this farmer’s prices are 0, or nobody has come yet.'
            : 'Nothing is owed to farmers: all that is stored is for free.'
        }
        columns={[
          { title: 'Currency', cell: ({ currency }) => currency },
          { title: earned ? 'Renters' : 'Farmers', number: true, cell: ({ peers }) => peers },
          { title: earned ? 'Earned' : 'Owed', number: true, cell: ({ owed }) => amount(owed) },
          {
            title: earned ? 'Promised' : 'Paid',
            number: true,
            cell: ({ promised }) => amount(promised),
          },
          { title: 'Settled', number: true, cell: ({ settled }) => amount(settled) },
          { title: 'Due', number: true, cell: ({ unpaid }) => amount(unpaid) },
        ]}
      />
      {days.length > 0 && (
        <BarPlot
          title={`${title} by day`}
          bars={days.map(({ day, charged }) => ({
            name: day.slice(5),
            value: Math.round(Number(charged)),
          }))}
          format={(value) => amount(String(value))}
          axis={`${main}, by day (UTC)`}
        />
      )}
    </Card>
  );
}
