import { useEffect, useState } from 'preact/hooks';
import type { ObjectStat, ObjectSummary } from '@granary/renter';
import { bytes, count, counted, date, shortId, until } from '../design/format.js';
import { Badge, Facts, Table } from '../design/parts.js';
import { Dialog } from './dialog.js';
import { healthInWords, spareOf, useHealth } from './health.js';
import { schemeInWords } from './network-settings.js';
import type { Session } from './session.js';
import { useStore } from './store.js';
import { troubleOf } from './trouble.js';

/** Everything about an object: who holds it, and how much of it can be lost. */
export function DetailsDialog(props: {
  readonly session: Session;
  readonly bucket: string;
  readonly object: ObjectSummary;
  readonly onClose: () => void;
}) {
  const { session, bucket, object, onClose } = props;
  const { renter } = session;
  const looks = useStore(session.looks);
  const [stat, setStat] = useState<ObjectStat | undefined>(undefined);
  const [away, setAway] = useState<ReadonlySet<string>>(new Set());
  const [asking, setAsking] = useState(false);
  /** What each farmer said, of those that were asked now. */
  const [said, setSaid] = useState<ReadonlyMap<string, boolean>>(new Map());
  const [fault, setFault] = useState('');
  const health = useHealth(session, bucket, object);
  useEffect(() => {
    let current = true;
    const look = async () => {
      const [found, farmers] = await Promise.all([
        renter.stat({ bucket, name: object.name }),
        renter.farmers(),
      ]);
      if (!current) return;
      setStat(found);
      setAway(
        new Set(
          farmers
            .filter(({ reputation }) => reputation.offlineSince !== null)
            .map(({ contact }) => contact.nodeId),
        ),
      );
    };
    look().catch((error: unknown) => current && setFault(troubleOf(error).text));
    return () => {
      current = false;
    };
  }, [renter, bucket, object, looks]);
  const ask = async () => {
    setAsking(true);
    setFault('');
    setSaid(new Map());
    try {
      const onAnswer = (nodeId: string, answered: boolean) =>
        setSaid((before) => new Map(before).set(nodeId, answered));
      await renter.askHolders({ bucket, name: object.name }, { onAnswer });
    } catch (error) {
      setFault(troubleOf(error).text);
    } finally {
      session.looked();
      setAsking(false);
    }
  };
  const shards = health?.shards;
  return (
    <Dialog title={object.name.split('/').at(-1) ?? ''} onClose={onClose} wide>
      {health !== undefined && shards !== undefined && health.segments > 0 && (
        <div class="health">
          <p>
            <Badge level={healthInWords(health).level}>
              {spareOf(health) < 0 ? 'can’t be read now' : `can lose ${healthInWords(health).text}`}
            </Badge>
          </p>
          <ShardStrip shards={shards} k={health.scheme.k} />
          <p class="soft small">
            {count(shards.healthy)} of its {count(health.scheme.n)} shards are healthy
            {shards.away > 0 && `, ${count(shards.away)} with farmers that do not answer now`}
            {shards.gone > 0 && `, ${count(shards.gone)} gone`}; {schemeInWords(health.scheme)}.
            {health.segments > 1 && ' This is the segment that is worst off.'}
          </p>
        </div>
      )}
      <Facts
        facts={[
          ['Size', `${bytes(object.size)} (${count(object.size)} bytes)`],
          ['Stored', date(object.created)],
          [
            'With farmers',
            stat === undefined
              ? '…'
              : `${bytes(stat.storedBytes)} in ${counted(stat.shards, 'shard')} of ${counted(stat.segments, 'segment')}`,
          ],
          [
            'Contracts end',
            stat?.expires === undefined || stat.expires === null
              ? '–'
              : `${until(stat.expires, Date.now())}; they are renewed before that while Granary is open`,
          ],
          ['SHA-256', <span class="mono">{object.sha256}</span>],
        ]}
      />
      {stat !== undefined && stat.farmers.length > 0 && (
        <>
          <div class="files-head">
            <h3>Farmers</h3>
            <button type="button" class="button" disabled={asking} onClick={() => void ask()}>
              {asking ? 'Asking …' : 'Ask them now'}
            </button>
          </div>
          <Table
            label="Farmers"
            rows={stat.farmers}
            keyOf={({ nodeId }) => nodeId}
            empty=""
            columns={[
              { title: 'Node', cell: ({ nodeId }) => <span class="mono">{shortId(nodeId)}</span> },
              { title: 'Shards', number: true, cell: ({ shards: held }) => count(held) },
              {
                title: asking ? 'Now' : 'Last time',
                cell: ({ nodeId }) => {
                  const answered = asking ? said.get(nodeId) : !away.has(nodeId);
                  if (answered === undefined) return <span class="soft">…</span>;
                  return answered ? (
                    <Badge level="good">answered</Badge>
                  ) : (
                    <Badge level="warn">did not answer</Badge>
                  );
                },
              },
            ]}
          />
        </>
      )}
      <p class="fault" role="alert">
        {fault}
      </p>
    </Dialog>
  );
}

function ShardStrip(props: {
  readonly shards: { healthy: number; away: number; leaving: number; gone: number };
  readonly k: number;
}) {
  const { shards, k } = props;
  const boxes = (['healthy', 'leaving', 'away', 'gone'] as const).flatMap((state) =>
    Array<string>(shards[state]).fill(state),
  );
  return (
    <span class="strip" aria-hidden="true">
      {boxes.map((state, i) => (
        <i key={i} class={i === k - 1 ? `${state} needed` : state} />
      ))}
    </span>
  );
}
