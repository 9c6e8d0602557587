import { bytes, count, counted, duration, percent, rate, shortId } from '../design/format.js';
import { Badge, Card, type Column, Meter, Table, Tile } from '../design/parts.js';
import type { NetworkFarmer, NetworkState } from '../messages/network-state.js';
import type { Row } from '../messages/stream.js';
import { AuditsCard, StoredCard, TrafficCard } from './farming-cards.js';
import { MAP_SIZE, pointAt, positionOf } from './map-layout.js';
import { rates } from './model.js';
import { PeerMark } from './neighbourhood.js';

const STATES = {
  starting: { level: 'busy', text: 'starting' },
  running: { level: 'good', text: 'runs' },
  silent: { level: 'warn', text: 'does not answer' },
  gone: { level: 'bad', text: 'gone' },
} as const;
const LOOK = { starting: 'left', running: 'alive', silent: 'slow', gone: 'silent' } as const;
const RADIUS = 80;
/** Farmers so close on the circle (of 1) are crowded. */
const CROWDED = 0.02;

function FarmersRing({ farmers }: { readonly farmers: readonly NetworkFarmer[] }) {
  const running = farmers.filter(({ state }) => state === 'running').length;
  const byPosition = [...farmers].sort((a, b) => positionOf(a.nodeId) - positionOf(b.nodeId));
  const most = Math.max(1, ...farmers.map(({ figures }) => figures?.usedBytes ?? 0));
  return (
    <svg
      class="map-picture"
      viewBox={`0 0 ${MAP_SIZE} ${MAP_SIZE}`}
      role="img"
      aria-label={`${running} of ${farmers.length} farmers run; each has its place by its ID. The table has all of them.`}
    >
      <circle class="wedge empty" cx={MAP_SIZE / 2} cy={MAP_SIZE / 2} r={RADIUS} />
      <text class="big" x={MAP_SIZE / 2} y={MAP_SIZE / 2}>
        {running}/{farmers.length}
      </text>
      <text x={MAP_SIZE / 2} y={MAP_SIZE / 2 + 12}>
        farmers run
      </text>
      {byPosition.map(({ nodeId, state, figures, index }, i) => {
        const position = positionOf(nodeId);
        // The number of one that is close to the one before stands farther out.
        const crowded = i % 2 === 1 && position - positionOf(byPosition[i - 1]!.nodeId) < CROWDED;
        const { x, y } = pointAt(position, RADIUS);
        const label = pointAt(position, RADIUS + (crowded ? 17 : 11));
        const share = (figures?.usedBytes ?? 0) / most;
        return (
          <g key={nodeId}>
            <title>{`farmer ${index}, ${shortId(nodeId)}: ${STATES[state].text}, ${bytes(figures?.usedBytes ?? 0)}`}</title>
            <PeerMark look={LOOK[state]} x={x} y={y} size={3 + 4 * Math.sqrt(share)} />
            {farmers.length <= 40 && (
              <text x={label.x} y={label.y + 2.5}>
                {index}
              </text>
            )}
          </g>
        );
      })}
    </svg>
  );
}

/** A local network. @param recent - the rows of the last minutes */
export function NetworkView(props: {
  readonly state: NetworkState;
  readonly recent: readonly Row[];
}) {
  const { farmers, home, time } = props.state;
  const now = rates(props.recent, 'network', ['bytesIn', 'bytesOut']).at(-1)?.values ?? [0, 0];
  const running = farmers.filter(({ state }) => state === 'running');
  const sum = (of: (figures: NonNullable<NetworkFarmer['figures']>) => number) =>
    running.reduce((total, { figures }) => total + (figures === null ? 0 : of(figures)), 0);
  const quota = sum(({ quotaBytes }) => quotaBytes);
  const used = sum(({ usedBytes }) => usedBytes);
  const [audits, lost] = [sum((f) => f.audits), sum((f) => f.auditsLost)];
  const columns: Column<NetworkFarmer>[] = [
    { title: 'Nr', number: true, cell: ({ index }) => index },
    { title: 'Node', cell: ({ nodeId }) => <span class="mono">{shortId(nodeId)}</span> },
    {
      title: 'State',
      cell: ({ state, ended, since, rttMs }) => (
        <>
          <Badge level={STATES[state].level}>
            {STATES[state].text}
            {ended === null ? '' : ` (${ended})`}
          </Badge>{' '}
          <span class="soft">
            {state === 'running'
              ? rttMs !== null && `answers in ${duration(rttMs)}`
              : `for ${duration(time - since)}`}
          </span>
        </>
      ),
    },
    { title: 'PID', number: true, cell: ({ pid }) => pid ?? '–' },
    { title: 'Shards', number: true, cell: ({ figures }) => count(figures?.shards ?? 0) },
    {
      title: 'Stored',
      cell: ({ figures }) => {
        const share = figures === null ? 0 : figures.usedBytes / Math.max(1, figures.quotaBytes);
        return (
          <>
            <span class="usage">
              <Meter share={share} label={`${percent(share)} of its space is taken`} />
            </span>{' '}
            {bytes(figures?.usedBytes ?? 0)}
          </>
        );
      },
    },
    { title: 'Peers', number: true, cell: ({ figures }) => count(figures?.peers ?? 0) },
    { title: 'In', number: true, cell: ({ figures }) => bytes(figures?.bytesIn ?? 0) },
    { title: 'Out', number: true, cell: ({ figures }) => bytes(figures?.bytesOut ?? 0) },
    { title: 'Audits', number: true, cell: ({ figures }) => count(figures?.audits ?? 0) },
    { title: 'Address', cell: ({ address }) => <span class="mono">{address}</span> },
  ];
  const commands = [
    `export GRANARY_HOME=${home}`,
    'npx granary put README.md',
    'npx granary stat README.md',
    'kill -9 PID     # of some farmers in the table',
    'npx granary get README.md copy.md',
  ];
  return (
    <>
      <section aria-labelledby="overview">
        <h2 id="overview" class="hidden-text">
          Overview
        </h2>
        <div class="tiles">
          <Tile title="Farmers" value={`${running.length} of ${farmers.length}`}>
            {running.length === farmers.length
              ? 'all run'
              : counted(farmers.length - running.length, 'does not run', 'do not run')}
          </Tile>
          <Tile title="Stored" value={bytes(used)}>
            <Meter
              share={quota === 0 ? 0 : used / quota}
              label={`${percent(quota === 0 ? 0 : used / quota)} of the space is taken`}
            />
            of {bytes(quota)}
          </Tile>
          <Tile title="Shards" value={count(sum(({ shards }) => shards))}>
            one contract each
          </Tile>
          <Tile title="Traffic now" value={rate((now[0] ?? 0) + (now[1] ?? 0))}>
            {rate(now[0] ?? 0)} in, {rate(now[1] ?? 0)} out
          </Tile>
          <Tile
            title="Audits passed"
            value={audits === 0 ? '–' : percent((audits - lost) / audits)}
          >
            {audits === 0 ? 'none yet' : `${count(audits - lost)} of ${count(audits)}`}
          </Tile>
        </div>
      </section>

      <section id="farmers" aria-label="Farmers" class="columns map">
        <Card title="Farmers by their IDs">
          <FarmersRing farmers={farmers} />
          <p class="soft small">
            Each farmer is where its ID is on the circle of all IDs, and the larger the more it
            holds.
          </p>
        </Card>
        <Card title="Farmers" aside={`${running.length} run`}>
          <Table
            label="Farmers"
            columns={columns}
            rows={farmers}
            keyOf={({ nodeId }) => nodeId}
            empty="There are no farmers."
          />
        </Card>
      </section>

      <section id="history" aria-label="History" class="columns two">
        <TrafficCard kind="network" title="Traffic of all farmers" />
        <StoredCard kind="network" title="Stored bytes" />
        <AuditsCard kind="network" title="Audits" />
        <Card title="Try it" aside="in another terminal">
          <pre class="commands" tabIndex={0} aria-label="Commands to try">
            {commands.join('\n')}
          </pre>
        </Card>
      </section>
    </>
  );
}
