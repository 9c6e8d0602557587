import { BarPlot } from '../design/bar-plot.js';
import { ago, bytes, count, counted, duration, percent, rate, shortId } from '../design/format.js';
import { Badge, Card, type Column, Facts, Meter, Table, Tile } from '../design/parts.js';
import { TimePlot } from '../design/time-plot.js';
import type { BridgeState, FarmerRow } from '../messages/bridge-state.js';
import type { Row } from '../messages/stream.js';
import { useRows } from './history-context.js';
import { growth, rates, values } from './model.js';
import { MoneyCard } from './money-card.js';
import { NeighbourhoodCards } from './neighbourhood.js';
import { ObjectsCard } from './objects-card.js';

const PHASES: Record<BridgeState['care']['phase'], string> = {
  idle: 'resting',
  farmers: 'asking farmers',
  audits: 'auditing',
  payments: 'paying',
  inspection: 'inspecting',
  repairs: 'repairing',
  shares: 'keeping share links up',
  garbage: 'clearing up',
  index: 'publishing',
};
const STANDINGS = { new: 'busy', good: 'good', suspected: 'warn', disqualified: 'bad' } as const;

function CareCard({ care, now }: { readonly care: BridgeState['care']; readonly now: number }) {
  const { last, queue, done, repairing, failure } = care;
  return (
    <Card title="Audits and repair" aside={care.here ? PHASES[care.phase] : 'not in this process'}>
      {!care.here && (
        <p>
          This bridge was started with <code>--no-care</code>: <code>granary repair</code> elsewhere
          has to look after what is stored.
        </p>
      )}
      {queue > 0 && (
        <div class="progress">
          <span>
            {count(done)} of {counted(queue, 'segment')} repaired
          </span>
          <Meter share={done / queue} label={`${percent(done / queue)} of the repairs are done`} />
        </div>
      )}
      <Facts
        facts={[
          [
            'Under way',
            repairing === null
              ? queue === 0
                ? 'no repair'
                : 'choosing farmers'
              : `segment ${repairing.segment} of ${shortId(repairing.id)}, for ${duration(now - repairing.since)}`,
          ],
          [
            'Now',
            `${PHASES[care.phase]}${care.since === 0 ? '' : ` for ${duration(now - care.since)}`}`,
          ],
          ...(last === null
            ? [['Last round', 'none yet'] as const]
            : [
                ['Last round', ago(last.at, now)] as const,
                [
                  'Audits',
                  `${count(last.audited)} passed, ${count(last.failed)} failed, ${count(last.unanswered)} unanswered`,
                ] as const,
                [
                  'Repairs',
                  `${counted(last.repaired, 'segment')} (${counted(last.placed, 'shard')} placed), ${count(last.unrepaired)} failed`,
                ] as const,
                ['Renewals', counted(last.renewed, 'contract')] as const,
              ]),
          ...(failure === null
            ? []
            : [['Broke off', `${ago(failure.at, now)}: ${failure.reason}`] as const]),
        ]}
      />
    </Card>
  );
}

function HealthCard({ state }: { readonly state: BridgeState }) {
  const { survey, scheme } = state;
  if (survey === null) {
    return (
      <Card title="Health of all objects">
        <p class="soft">All objects are being looked at.</p>
      </Card>
    );
  }
  const bars = [
    { name: 'too few', value: survey.unreadable, colour: 3 as const },
    ...survey.bySpare.map((value, spare) => ({
      name: String(spare),
      value,
      colour: (spare < scheme.repair - scheme.k ? 3 : 2) as 2 | 3,
    })),
  ];
  return (
    <Card
      title="Health of all objects"
      aside={`looked at ${counted(survey.segments, 'segment')} in ${duration(survey.tookMs)}`}
    >
      <BarPlot
        title="Objects by how many farmers they can lose"
        bars={bars}
        format={count}
        axis={`Objects by how many more farmers they can lose. New ones: any ${scheme.k} of ${scheme.n} shards restore a segment; it is repaired below ${scheme.repair}.`}
      />
      <Facts
        facts={[
          ['Fine', count(survey.fine)],
          ['To be moved', count(survey.move)],
          ['To be repaired', count(survey.repair)],
          ['Can’t be read now', count(survey.unreadable)],
          [
            'Contracts',
            `${count(survey.contracts)}, ${count(survey.endInDay)} of them end within a day`,
          ],
        ]}
      />
    </Card>
  );
}

function BucketsCard({ buckets }: Pick<BridgeState, 'buckets'>) {
  const named = buckets.list.some(({ name }) => name !== null);
  return (
    <Card title="Buckets" aside={counted(buckets.users, 'user')}>
      {named || buckets.list.length === 0 ? (
        <Table
          label="Buckets"
          rows={buckets.list}
          keyOf={({ name }) => name ?? ''}
          empty="There are no buckets yet."
          columns={[
            { title: 'Name', cell: ({ name }) => name },
            { title: 'Objects', number: true, cell: ({ objects }) => count(objects) },
            { title: 'Bytes', number: true, cell: ({ bytes: size }) => bytes(size) },
          ]}
        />
      ) : (
        <>
          <Facts
            facts={[
              ['Buckets', `${count(buckets.total)}${buckets.more ? ' and more' : ''}`],
              ['Objects', count(buckets.list.reduce((sum, { objects }) => sum + objects, 0))],
              ['Bytes', bytes(buckets.list.reduce((sum, one) => sum + one.bytes, 0))],
            ]}
          />
          <p class="soft small">
            Names are not shown. <code>--dashboard-names</code> shows them.
          </p>
        </>
      )}
      {buckets.more && <p class="soft small">The first {buckets.list.length} are counted.</p>}
    </Card>
  );
}

/** A bridge. @param recent - the rows of the last minutes */
export function BridgeView(props: {
  readonly state: BridgeState;
  readonly recent: readonly Row[];
}) {
  const { state, recent } = props;
  const { survey, requests, farmers, care, money, neighbourhood, time, buckets } = state;
  const rows = useRows();
  const perSecond = rates(recent, 'bridge', ['requests']).at(-1)?.values[0] ?? 0;
  const answering = farmers.list.filter(({ answers }) => answers).length;
  const spent = money.accounts[0];
  const farmerColumns: Column<FarmerRow>[] = [
    { title: 'Node', cell: ({ nodeId }) => <span class="mono">{shortId(nodeId)}</span> },
    {
      title: 'Answers',
      cell: ({ answers, awaySince, latencyMs }) =>
        answers ? (
          <Badge level="good">in {duration(latencyMs)}</Badge>
        ) : (
          <Badge level="bad">
            away{awaySince === null ? '' : ` for ${duration(time - awaySince)}`}
          </Badge>
        ),
    },
    {
      title: 'Standing',
      cell: ({ standing, leaving }) => (
        <Badge level={STANDINGS[standing]}>{leaving ? 'leaving' : standing}</Badge>
      ),
    },
    {
      title: 'Audits',
      number: true,
      cell: ({ passed, failed }) =>
        failed === 0
          ? `${count(passed)} passed`
          : `${count(passed)} passed, ${count(failed)} failed`,
    },
    { title: 'Up', number: true, cell: ({ uptime }) => percent(uptime) },
    { title: 'Free', number: true, cell: ({ freeBytes }) => bytes(freeBytes) },
    { title: 'Why', cell: ({ why }) => <span class="soft">{why}</span> },
    { title: 'Operator', cell: ({ operator }) => operator ?? '–' },
    { title: 'Address', cell: ({ address }) => <span class="mono">{address ?? '–'}</span> },
  ];
  return (
    <>
      <section aria-labelledby="overview">
        <h2 id="overview" class="hidden-text">
          Overview
        </h2>
        <div class="tiles">
          <Tile title="Objects" value={survey === null ? '…' : count(survey.objects)}>
            {survey === null
              ? 'being counted'
              : `${bytes(survey.bytes)}, ${bytes(survey.storedBytes)} at farmers`}
          </Tile>
          <Tile
            title="Every object can lose"
            value={
              survey === null || survey.leastSpare === null
                ? '–'
                : counted(Math.max(0, survey.leastSpare), 'farmer')
            }
          >
            and still be read
          </Tile>
          <Tile title="Farmers" value={`${answering} of ${farmers.list.length}`}>
            answer
          </Tile>
          <Tile title="Requests" value={`${perSecond.toFixed(perSecond < 10 ? 1 : 0)}/s`}>
            {counted(requests.running, 'under way', 'under way')}, {count(requests.total)} since the
            start
          </Tile>
          <Tile title="Care" value={care.here ? PHASES[care.phase] : 'elsewhere'}>
            {care.queue > 0
              ? `${count(care.done)} of ${count(care.queue)} repaired`
              : care.last === null
                ? 'no round yet'
                : `last round ${ago(care.last.at, time)}`}
          </Tile>
          <Tile title="Spent" value={spent === undefined ? '0' : count(Number(spent.owed))}>
            {spent?.currency ?? 'everything is for free'}
          </Tile>
        </div>
      </section>

      <section id="objects" aria-label="Objects">
        <div class="columns two">
          <HealthCard state={state} />
          <CareCard care={care} now={time} />
        </div>
        <ObjectsCard surveyedAt={survey?.at ?? 0} now={time} />
      </section>

      <section id="farmers" aria-label="Farmers">
        <Card title="Farmers" aside={`${answering} of ${farmers.list.length} answer`}>
          <Table
            label="Farmers"
            columns={farmerColumns}
            rows={farmers.list}
            keyOf={({ nodeId }) => nodeId}
            empty="No farmer was met yet."
          />
          {farmers.total > farmers.list.length && (
            <p class="soft small">
              {count(farmers.list.length)} of {count(farmers.total)} are shown.
            </p>
          )}
        </Card>
      </section>

      <section id="history" aria-label="History" class="columns two">
        <Card
          title="Requests"
          aside={`${count(requests.refused)} refused, ${count(requests.failed)} failed since the start`}
        >
          <TimePlot
            title="Requests a second"
            lines={['requests', 'failed']}
            points={rates(rows, 'bridge', ['requests', 'failed'])}
            format={(value) => `${value.toFixed(value < 10 ? 1 : 0)}/s`}
            firstColour={2}
          />
        </Card>
        <Card
          title="Traffic of clients"
          aside={`${bytes(requests.received)} in, ${bytes(requests.sent)} out`}
        >
          <TimePlot
            title="Traffic of clients"
            lines={['in', 'out']}
            points={rates(rows, 'bridge', ['received', 'sent'])}
            format={rate}
          />
        </Card>
        <Card title="Audits of farmers">
          <TimePlot
            title="Audits"
            lines={['passed', 'failed']}
            points={growth(rows, 'bridge', ['auditsPassed', 'auditsFailed'])}
            format={count}
            whole
            firstColour={2}
          />
        </Card>
        <Card title="Endangered objects and farmers away">
          <TimePlot
            title="Endangered objects and farmers away"
            lines={['objects to repair', 'farmers away']}
            points={values(rows, 'bridge', ['endangered', 'farmersAway'])}
            format={count}
            whole
          />
        </Card>
        <Card title="Operations" aside="since the start">
          <Table
            label="Operations"
            rows={requests.operations.slice(0, 10)}
            keyOf={({ name }) => name}
            empty="No request was answered yet."
            columns={[
              { title: 'Operation', cell: ({ name }) => name },
              { title: 'Requests', number: true, cell: (one) => count(one.count) },
              { title: 'Errors', number: true, cell: ({ errors }) => count(errors) },
              { title: 'Median', number: true, cell: ({ medianMs }) => duration(medianMs) },
            ]}
          />
        </Card>
        <BucketsCard buckets={buckets} />
      </section>

      <section id="network" aria-label="Network">
        <NeighbourhoodCards neighbourhood={neighbourhood} now={time} />
      </section>

      <section id="account" aria-label="Account" class="columns two">
        <MoneyCard money={money} />
        <Card title="This bridge">
          <Facts
            facts={[
              ['S3 endpoint', <span class="mono">{state.url}</span>],
              ['Region', state.region],
              ['Connections', count(requests.connections)],
              ['Node ID', <span class="mono">{state.nodeId}</span>],
              [
                'New objects',
                `any ${state.scheme.k} of ${state.scheme.n} shards restore a segment`,
              ],
            ]}
          />
        </Card>
      </section>
    </>
  );
}
