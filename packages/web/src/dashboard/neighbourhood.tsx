import { useState } from 'preact/hooks';
import { ago, count, counted, duration, shortId } from '../design/format.js';
import { Badge, Card, type Column, Table } from '../design/parts.js';
import type { Neighbourhood, PeerView } from '../messages/parts.js';
import { MAP_SIZE, type PeerDot, mapLayout } from './map-layout.js';

/** An answer that is slow, in milliseconds; there may be a connection to be opened first. */
const SLOW_MS = 500;
const FIRST_ROWS = 12;

/** What a dot looks like. */
export type PeerLook = 'alive' | 'slow' | 'silent' | 'left';

const LOOKS: Record<PeerLook, string> = {
  alive: 'answers',
  slow: `slow (over ${SLOW_MS} ms)`,
  silent: 'does not answer',
  left: 'has left',
};

function lookOf({ state, rttMs }: PeerView): PeerLook {
  return state === 'alive' && rttMs !== null && rttMs > SLOW_MS ? 'slow' : state;
}

/** A peer as a mark whose shape tells its state, too. */
export function PeerMark(props: {
  readonly look: PeerLook;
  readonly x: number;
  readonly y: number;
  readonly size: number;
}) {
  const { look, x, y, size } = props;
  if (look === 'silent') {
    const s = size * 0.85;
    const path = `M${x - s} ${y - s}L${x + s} ${y + s}M${x - s} ${y + s}L${x + s} ${y - s}`;
    return <path class="peer silent" d={path} />;
  }
  if (look === 'slow') {
    const path = `M${x} ${y - size * 1.2}L${x + size * 1.2} ${y}L${x} ${y + size * 1.2}L${x - size * 1.2} ${y}Z`;
    return <path class="peer slow" d={path} />;
  }
  return <circle class={`peer ${look}`} cx={x} cy={y} r={size} />;
}

/** What the marks mean, with how many there are. */
export function PeerLegend({ counts }: { readonly counts: Readonly<Record<PeerLook, number>> }) {
  const looks = (Object.keys(LOOKS) as PeerLook[]).filter((look) => counts[look] > 0);
  return (
    <ul class="legend">
      {looks.map((look) => (
        <li key={look}>
          <svg class="peer-swatch" viewBox="0 0 10 10" aria-hidden="true">
            <PeerMark look={look} x={5} y={5} size={4} />
          </svg>
          {LOOKS[look]} <strong>{count(counts[look])}</strong>
        </li>
      ))}
    </ul>
  );
}

function told({ peer, bucket }: PeerDot): string {
  const rtt = peer.rttMs === null ? '' : `, ${duration(peer.rttMs)}`;
  return `${shortId(peer.nodeId)} ${LOOKS[lookOf(peer)]}${rtt}, k-bucket ${bucket}\n${peer.address ?? ''}`;
}

/** The map of the k-buckets, and the peers in them as a table. */
export function NeighbourhoodCards(props: {
  readonly neighbourhood: Neighbourhood;
  readonly now: number;
}) {
  const { neighbourhood, now } = props;
  const [all, setAll] = useState(false);
  const { wedges, dots, own } = mapLayout(neighbourhood);
  const counts = { alive: 0, slow: 0, silent: 0, left: 0 };
  for (const { peer } of dots) counts[lookOf(peer)] += 1;
  const rest = neighbourhood.known - counts.alive - counts.slow;
  const gone = counts.silent + counts.left;
  const size = Math.max(1.6, Math.min(3.6, 26 / Math.sqrt(dots.length + 1)));
  const columns: Column<PeerDot>[] = [
    { title: 'Node', cell: ({ peer }) => <span class="mono">{shortId(peer.nodeId)}</span> },
    {
      title: 'State',
      cell: ({ peer }) => {
        const level = { alive: 'good', slow: 'warn', silent: 'bad', left: undefined } as const;
        const look = lookOf(peer);
        return (
          <Badge {...(level[look] !== undefined && { level: level[look] })}>
            {look === 'slow' ? 'slow' : LOOKS[look]}
          </Badge>
        );
      },
    },
    {
      title: 'Answers in',
      number: true,
      cell: ({ peer }) => (peer.rttMs === null ? '–' : duration(peer.rttMs)),
    },
    { title: 'k-bucket', number: true, cell: ({ bucket }) => bucket },
    { title: 'Since', cell: ({ peer }) => (peer.since === null ? '–' : ago(peer.since, now)) },
    { title: 'Address', cell: ({ peer }) => <span class="mono">{peer.address ?? '–'}</span> },
  ];
  // Who is gone comes first: that is what one looks for.
  const rows = [...dots].sort(
    (a, b) =>
      Number(a.peer.state === 'alive') - Number(b.peer.state === 'alive') ||
      (b.peer.since ?? 0) * Number(b.peer.state !== 'alive') -
        (a.peer.since ?? 0) * Number(a.peer.state !== 'alive') ||
      a.bucket - b.bucket,
  );
  return (
    <div class="columns map">
      <Card
        title="The network around this node"
        aside={`about ${counted(neighbourhood.estimate + 1, 'node')}`}
      >
        <svg
          class="map-picture"
          viewBox={`0 0 ${MAP_SIZE} ${MAP_SIZE}`}
          role="img"
          aria-label={`Map of the k-buckets: ${counted(neighbourhood.known, 'peer')} known, ${count(gone)} gone lately. The table has each of them.`}
        >
          {wedges.map(({ bucket, path, contacts }) => (
            <path key={bucket} class={`wedge ${contacts === 0 ? 'empty' : ''}`} d={path} />
          ))}
          <line class="axis" x1={MAP_SIZE / 2} y1={MAP_SIZE / 2} x2={own.x} y2={own.y} />
          <circle class="self" cx={MAP_SIZE / 2} cy={MAP_SIZE / 2} r={5} />
          <text x={MAP_SIZE / 2} y={MAP_SIZE / 2 + 13}>
            this node
          </text>
          {dots.map((dot) => (
            <g key={dot.peer.nodeId}>
              <title>{told(dot)}</title>
              <PeerMark look={lookOf(dot.peer)} x={dot.x} y={dot.y} size={size} />
            </g>
          ))}
        </svg>
        <PeerLegend counts={counts} />
        <p class="soft small">
          All IDs lie on the circle; the dashed line points to this node’s own. Each ring is a
          k-bucket: the farthest in XOR distance is the outermost, and covers the half of all IDs
          that this node is not in.
          {rest > 0 ? ` ${count(rest)} more peers are known than are drawn.` : ''}
        </p>
      </Card>
      <Card title="Peers" aside={`${count(neighbourhood.known)} known`}>
        <Table
          label="Peers"
          columns={columns}
          rows={all ? rows : rows.slice(0, FIRST_ROWS)}
          keyOf={({ peer }) => peer.nodeId}
          empty="No other node is known yet."
        />
        {rows.length > FIRST_ROWS && (
          <div>
            <button type="button" class="button" aria-expanded={all} onClick={() => setAll(!all)}>
              {all ? 'Show fewer' : `Show all ${count(rows.length)}`}
            </button>
          </div>
        )}
      </Card>
    </div>
  );
}
