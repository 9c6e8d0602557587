import { useEffect, useState } from 'preact/hooks';
import type { ObjectHealth, ObjectSummary } from '@granary/renter';
import { counted } from '../design/format.js';
import type { Level } from '../design/icons.js';
import { Badge } from '../design/parts.js';
import type { Session } from './session.js';
import { useStore } from './store.js';

const DAY_MS = 24 * 3600 * 1000;

/** How many more farmers an object can lose; below 0 when it can't be read now. */
export function spareOf({ margin, scheme }: Pick<ObjectHealth, 'margin' | 'scheme'>): number {
  return Math.round(margin * scheme.k);
}

/** How an object is, in few words. */
export function healthInWords(health: ObjectHealth): {
  readonly level: Level;
  readonly text: string;
} {
  const spare = spareOf(health);
  if (health.segments === 0) return { level: 'good', text: 'kept in the list' };
  if (spare < 0) return { level: 'bad', text: 'can’t be read now' };
  const text = counted(spare, 'farmer');
  if (health.verdict === 'fine' && health.shards.away === 0) return { level: 'good', text };
  return { level: spare === 0 ? 'bad' : 'warn', text };
}

/** The health of an object, from the store of this browser; undefined while it is looked up. */
export function useHealth(
  session: Session,
  bucket: string,
  { name, created }: ObjectSummary,
): ObjectHealth | undefined {
  const looks = useStore(session.looks);
  const [health, setHealth] = useState<ObjectHealth | undefined>(undefined);
  useEffect(() => {
    let current = true;
    session.renter
      .healthOf({ bucket, name }, { soon: Date.now() + DAY_MS })
      .then((found) => current && setHealth(found))
      // It is gone, and so is this line soon.
      .catch(() => undefined);
    return () => {
      current = false;
    };
  }, [session, bucket, name, created, looks]);
  return health;
}

/** How many farmers an object can lose. */
export function HealthBadge(props: {
  readonly session: Session;
  readonly bucket: string;
  readonly object: ObjectSummary;
}) {
  const { session, bucket, object } = props;
  const health = useHealth(session, bucket, object);
  if (health === undefined) return null;
  const { level, text } = healthInWords(health);
  return <Badge level={level}>{text}</Badge>;
}
