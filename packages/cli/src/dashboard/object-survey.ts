import { CONTENT_BUCKET, JOURNAL_BUCKET } from '@granary/bridge';
import type { ObjectHealth } from '@granary/renter';
import {
  MAX_LISTED_OBJECTS,
  OBJECTS_PER_PAGE,
  type ObjectView,
  type ObjectsPage,
  type Survey,
} from '@granary/web';

/** Classes of spare shards; objects with more are in the last. */
const SPARE_CLASSES = 32;

/** What a look at all objects found: figures of all, and the worst of them. */
export interface SurveyResult {
  readonly survey: Survey;
  /** The most endangered first. */
  readonly worst: readonly ObjectView[];
}

/**
 * Look at the health of all objects. Memory is bounded: of more than {@link MAX_LISTED_OBJECTS} the
 * worst are kept.
 *
 * @param health - of every object
 * @param withNames - whether to keep what they are called
 * @param now - the time, in milliseconds since the epoch
 */
export async function surveyObjects(
  health: AsyncIterable<ObjectHealth>,
  withNames: boolean,
  now: () => number,
): Promise<SurveyResult> {
  const begun = now();
  const verdicts = { fine: 0, move: 0, repair: 0, lost: 0 };
  let [objects, segments, bytes, storedBytes, unreadable, contracts, endInDay] = [
    0, 0, 0, 0, 0, 0, 0,
  ];
  let leastSpare: number | null = null;
  const bySpare: number[] = [];
  let worst: ObjectView[] = [];
  for await (const one of health) {
    const view = viewOf(one, withNames);
    objects += 1;
    segments += one.segments;
    bytes += one.size;
    storedBytes += one.storedBytes;
    verdicts[one.verdict] += 1;
    if (view.spare < 0) unreadable += 1;
    contracts += one.contracts;
    endInDay += one.endingSoon;
    leastSpare = Math.min(leastSpare ?? Infinity, view.spare);
    const place = Math.min(Math.max(0, view.spare), SPARE_CLASSES - 1);
    while (bySpare.length <= place) bySpare.push(0);
    if (view.spare >= 0) bySpare[place]! += 1;
    worst.push(view);
    if (worst.length >= 2 * MAX_LISTED_OBJECTS) worst = theWorst(worst);
  }
  const at = now();
  return {
    survey: {
      at,
      tookMs: Math.max(0, at - begun),
      objects,
      segments,
      bytes,
      storedBytes,
      ...verdicts,
      unreadable,
      leastSpare,
      bySpare,
      contracts,
      endInDay,
    },
    worst: theWorst(worst),
  };
}

/** A page of what a look at all objects found; the last page when there are not so many. */
export function pageOf(result: SurveyResult | undefined, wanted: number): ObjectsPage {
  const worst = result?.worst ?? [];
  const pages = Math.max(1, Math.ceil(worst.length / OBJECTS_PER_PAGE));
  const page = Math.min(wanted, pages - 1);
  return {
    surveyedAt: result?.survey.at ?? null,
    total: result?.survey.objects ?? 0,
    listed: worst.length,
    page,
    pages,
    objects: worst.slice(page * OBJECTS_PER_PAGE, (page + 1) * OBJECTS_PER_PAGE),
  };
}

/** Buckets of the renter that are the bridge's own. */
const OWN_BUCKETS: ReadonlyMap<string, ObjectView['sort']> = new Map([
  [CONTENT_BUCKET, 'content'],
  [JOURNAL_BUCKET, 'journal'],
]);

const VERDICTS = ['lost', 'repair', 'move', 'fine'];

function theWorst(views: ObjectView[]): ObjectView[] {
  const margin = ({ spare, scheme }: ObjectView) => spare / scheme.k;
  return views
    .sort(
      (a, b) =>
        margin(a) - margin(b) ||
        VERDICTS.indexOf(a.verdict) - VERDICTS.indexOf(b.verdict) ||
        b.endangered - a.endangered ||
        b.size - a.size ||
        (a.id < b.id ? -1 : 1),
    )
    .slice(0, MAX_LISTED_OBJECTS);
}

function viewOf(one: ObjectHealth, withNames: boolean): ObjectView {
  const { objectId, bucket, name, index, size, created, scheme, segments } = one;
  const sort = index ? 'index' : (OWN_BUCKETS.get(bucket) ?? 'object');
  return {
    // Contents are known by their own IDs in the bridge's log and database.
    id: sort === 'content' && /^[0-9a-f]{1,64}$/.test(name) ? name : objectId,
    sort,
    name: withNames && sort === 'object' ? `${bucket}/${name}` : null,
    size,
    created,
    scheme,
    segments,
    endangered: one.endangered,
    verdict: one.verdict,
    shards: one.shards,
    spare: Math.round(one.margin * scheme.k),
    expires: one.expires,
  };
}
