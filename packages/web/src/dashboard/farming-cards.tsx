import { bytes, count, rate } from '../design/format.js';
import { Card } from '../design/parts.js';
import { TimePlot } from '../design/time-plot.js';
import { useRows } from './history-context.js';
import { growth, rates, values } from './model.js';

/** What is plotted of a farmer and, added up, of a network of them: their rows have these fields in common. */
interface FarmingCard {
  readonly kind: 'farmer' | 'network';
  readonly title: string;
  readonly aside?: string;
}

/** Bytes in and out a second. */
export function TrafficCard({ kind, ...card }: FarmingCard) {
  return (
    <Card {...card}>
      <TimePlot
        title="Traffic"
        lines={['in', 'out']}
        points={rates(useRows(), kind, ['bytesIn', 'bytesOut'])}
        format={rate}
      />
    </Card>
  );
}

/** Bytes of shards that are kept. */
export function StoredCard({ kind, ...card }: FarmingCard) {
  return (
    <Card {...card}>
      <TimePlot
        title="Stored bytes"
        lines={['stored']}
        points={values(useRows(), kind, ['usedBytes'])}
        format={bytes}
      />
    </Card>
  );
}

/** Audits answered, and losses admitted. */
export function AuditsCard({ kind, ...card }: FarmingCard) {
  return (
    <Card {...card}>
      <TimePlot
        title="Audits"
        lines={['answered', 'lost']}
        points={growth(useRows(), kind, ['audits', 'auditsLost'])}
        format={count}
        whole
        firstColour={2}
      />
    </Card>
  );
}
