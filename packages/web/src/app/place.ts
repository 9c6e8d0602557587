import { useEffect, useState } from 'preact/hooks';

/** Where in the files somebody is. */
export interface Place {
  /** Undefined: at the list of buckets. */
  readonly bucket?: string;
  /** A folder in it: empty, or ending in a slash. */
  readonly folder: string;
}

const START: Place = { folder: '' };

function placeOf(state: unknown): Place {
  const { granaryPlace } = (state ?? {}) as { granaryPlace?: Partial<Place> };
  if (typeof granaryPlace?.folder !== 'string') return START;
  const { bucket, folder } = granaryPlace;
  return typeof bucket === 'string' ? { bucket, folder } : START;
}

/**
 * The place, with the browser's own way back. It is not in the address: names would be in the history, and
 * browsers copy that to where others can read it.
 */
export function usePlace(): readonly [Place, (place: Place) => void] {
  const [place, setPlace] = useState(() => placeOf(history.state));
  useEffect(() => {
    const onPop = ({ state }: PopStateEvent) => setPlace(placeOf(state));
    addEventListener('popstate', onPop);
    return () => removeEventListener('popstate', onPop);
  }, []);
  const go = (next: Place) => {
    // The address stays: it may be an access grant.
    history.pushState({ granaryPlace: next }, '', location.href);
    setPlace(next);
  };
  return [place, go];
}
