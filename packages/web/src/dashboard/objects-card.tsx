import { useEffect, useState } from 'preact/hooks';
import { ago, bytes, count, counted, date, until } from '../design/format.js';
import { Badge, Card, type Column, Table } from '../design/parts.js';
import type { Level } from '../design/icons.js';
import { type ObjectView, type ObjectsPage, objectsPageSchema } from '../messages/bridge-state.js';

const TIMEOUT_MS = 10_000;

const VERDICTS: Record<ObjectView['verdict'], { level: Level; text: string }> = {
  fine: { level: 'good', text: 'fine' },
  move: { level: 'busy', text: 'to be moved' },
  repair: { level: 'warn', text: 'to be repaired' },
  lost: { level: 'bad', text: 'can’t be read' },
};
const SORTS = { content: 'content', journal: 'journal', index: 'recovery index', object: 'object' };

async function fetchPage(page: number): Promise<ObjectsPage | undefined> {
  try {
    const answer = await fetch(`api/objects?page=${page}`, {
      cache: 'no-store',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return answer.ok ? objectsPageSchema.parse(await answer.json()) : undefined;
  } catch {
    return undefined; // the next look at all objects brings it
  }
}

/** The shards of an object's worst segment, one box each: those that it needs first. */
function ShardStrip({ shards, scheme }: Pick<ObjectView, 'shards' | 'scheme'>) {
  const there = shards.healthy + shards.leaving + shards.away + shards.gone;
  const boxes = [
    ...Array<string>(shards.healthy).fill('healthy'),
    ...Array<string>(shards.leaving).fill('leaving'),
    ...Array<string>(shards.away).fill('away'),
    ...Array<string>(shards.gone).fill('gone'),
  ];
  const told =
    `${shards.healthy} of ${there} shards healthy, ${shards.away} away, ` +
    `${shards.leaving} to be moved, ${shards.gone} gone; ${scheme.k} are needed`;
  return (
    <span class="strip" role="img" aria-label={told} title={told}>
      {boxes.map((state, i) => (
        <i key={i} class={`${state} ${i === scheme.k - 1 ? 'needed' : ''}`} />
      ))}
    </span>
  );
}

function stateOf({ verdict, spare, shards }: ObjectView): { level: Level; text: string } {
  if (spare < 0) return { level: 'bad', text: 'can’t be read now' };
  if (verdict === 'fine' && shards.away > 0) return { level: 'warn', text: 'farmers away' };
  return VERDICTS[verdict];
}

/**
 * The objects, the most endangered first, page by page.
 *
 * @param surveyedAt - when all objects were last looked at: a new look is fetched
 */
export function ObjectsCard(props: { readonly surveyedAt: number; readonly now: number }) {
  const { surveyedAt, now } = props;
  const [wanted, setWanted] = useState(0);
  const [shown, setShown] = useState<ObjectsPage | undefined>(undefined);
  useEffect(() => {
    let current = true;
    void fetchPage(wanted).then((page) => {
      if (current && page !== undefined) setShown(page);
    });
    return () => {
      current = false;
    };
  }, [wanted, surveyedAt]);
  if (shown === undefined) {
    return (
      <Card title="Objects, the most endangered first">
        <p class="soft">They are being fetched.</p>
      </Card>
    );
  }
  const columns: Column<ObjectView>[] = [
    {
      title: 'Object',
      cell: ({ id, name, sort }) =>
        name === null ? (
          <>
            <span class="mono">{id.slice(0, 12)}</span> <span class="soft">{SORTS[sort]}</span>
          </>
        ) : (
          name
        ),
    },
    {
      title: 'State',
      cell: (object) => {
        const { level, text } = stateOf(object);
        return <Badge level={level}>{text}</Badge>;
      },
    },
    {
      title: 'Spare',
      number: true,
      cell: ({ spare }) => <strong>{spare}</strong>,
    },
    { title: 'Shards of its worst segment', cell: (object) => <ShardStrip {...object} /> },
    { title: 'Size', number: true, cell: ({ size }) => bytes(size) },
    {
      title: 'Segments',
      number: true,
      cell: ({ segments, endangered }) =>
        endangered === 0 ? count(segments) : `${count(endangered)} of ${count(segments)} in danger`,
    },
    {
      title: 'Contracts end',
      cell: ({ expires }) => (expires === null ? '–' : until(expires, now)),
    },
    { title: 'Stored', cell: ({ created }) => date(created) },
  ];
  const { page, pages, total, listed } = shown;
  return (
    <Card title="Objects, the most endangered first" aside={`looked at ${ago(surveyedAt, now)}`}>
      <Table
        label="Objects, the most endangered first"
        columns={columns}
        rows={shown.objects}
        keyOf={({ id, created }) => `${id}${created}`}
        empty="Nothing is stored yet."
      />
      <div class="section-head">
        <ul class="legend">
          {(
            [
              ['healthy', 'healthy'],
              ['leaving', 'to be moved'],
              ['away', 'its farmer does not answer now'],
              ['gone', 'gone'],
            ] as const
          ).map(([state, text]) => (
            <li key={state}>
              <span class="strip" aria-hidden="true">
                <i class={state} />
              </span>
              {text}
            </li>
          ))}
        </ul>
        {pages > 1 && (
          <nav class="pager" aria-label="Pages of objects">
            <button
              type="button"
              class="button"
              disabled={page === 0}
              onClick={() => setWanted(page - 1)}
            >
              Worse
            </button>
            <span class="small">
              Page {page + 1} of {pages}
            </span>
            <button
              type="button"
              class="button"
              disabled={page >= pages - 1}
              onClick={() => setWanted(page + 1)}
            >
              Better
            </button>
          </nav>
        )}
      </div>
      {listed < total && (
        <p class="soft small">
          The list has the worst {count(listed)} of {counted(total, 'object')}.
        </p>
      )}
    </Card>
  );
}
