import { useEffect, useState } from 'preact/hooks';
import { checkBucket } from '@granary/renter';
import { Ask } from './dialog.js';
import { DropZone } from './drop-zone.js';
import { Icon } from './icons.js';
import type { Session } from './session.js';
import { useStore } from './store.js';
import { troubleOf } from './trouble.js';
import { UploadButtons } from './upload-buttons.js';

/** Where files go that are dropped before there is a bucket. */
const FIRST_BUCKET = 'files';
/** Buckets shown. */
const MAX_BUCKETS = 1000;

/** The list of buckets. */
export function BucketsView(props: {
  readonly session: Session;
  readonly onOpen: (bucket: string) => void;
}) {
  const { session, onOpen } = props;
  const changes = useStore(session.changes);
  const [buckets, setBuckets] = useState<readonly string[] | undefined>(undefined);
  const [fault, setFault] = useState('');
  const [asking, setAsking] = useState(false);
  useEffect(() => {
    let current = true;
    const read = async () => {
      const found: string[] = [];
      for await (const name of session.renter.buckets()) {
        found.push(name);
        if (found.length >= MAX_BUCKETS) break;
      }
      if (current) setBuckets(found);
    };
    read().catch((error: unknown) => current && setFault(troubleOf(error).text));
    return () => {
      current = false;
    };
  }, [session, changes]);
  const upload = (chosen: Parameters<typeof session.transfers.upload>[2]) => {
    void session.transfers.upload(FIRST_BUCKET, '', chosen);
    onOpen(FIRST_BUCKET);
  };
  const empty = buckets?.length === 0;
  return (
    <DropZone
      label="Drop to store"
      onFiles={upload}
      onFault={(error) => setFault(`It could not be read: ${troubleOf(error).text}`)}
      disabled={!empty}
    >
      <section class="card" aria-labelledby="place">
        <header class="files-head">
          <h1 id="place">Buckets</h1>
          <div class="row">
            <button type="button" class="button" onClick={() => setAsking(true)}>
              <Icon name="plus" /> New bucket
            </button>
          </div>
        </header>
        <p class="fault" role="alert">
          {fault}
        </p>
        {empty && (
          <div class="empty">
            <Icon name="upload" />
            <p>
              <strong>Nothing is stored yet.</strong>
            </p>
            <p class="soft">
              Drop files or folders here, or choose some. They go into a bucket called “
              {FIRST_BUCKET}
              ”.
            </p>
            <UploadButtons onFiles={upload} main />
          </div>
        )}
        {buckets !== undefined && !empty && (
          <ul class="entries" aria-label="Buckets">
            {buckets.map((name) => (
              <li key={name}>
                <button type="button" class="entry-name" onClick={() => onOpen(name)}>
                  <Icon name="bucket" />
                  <span>{name}</span>
                </button>
              </li>
            ))}
          </ul>
        )}
      </section>
      {asking && (
        <Ask
          title="New bucket"
          label="Its name: a-z, 0-9, “.” and “-”"
          action="Open it"
          fault={(name) => {
            try {
              checkBucket(name);
              return undefined;
            } catch (error) {
              return error instanceof Error ? error.message : String(error);
            }
          }}
          onText={onOpen}
          onClose={() => setAsking(false)}
        />
      )}
    </DropZone>
  );
}
