import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { ObjectSummary } from '@granary/renter';
import { bytes, date, percent } from '../design/format.js';
import { Meter } from '../design/parts.js';
import { shareTroubleOf } from '../share/share-trouble.js';
import type { StreamDesk } from '../stream-worker/stream-desk.js';
import type { GrantedSession } from './granted-session.js';
import { Icon, iconOf } from './icons.js';
import { type Entry, crumbsOf, entriesOf } from './listing.js';
import type { ReadRange } from './media-view.js';
import { usePlace } from './place.js';
import { Preview } from './preview.js';
import { useStore } from './store.js';
import { useDownload } from './use-download.js';

/** Lines shown at first, and added each time that more are wanted. */
const PAGE = 100;

/** What somebody sees who has signed in by an access grant: files to look at and to download. */
export function GrantedView(props: {
  readonly session: GrantedSession;
  readonly desk: Promise<StreamDesk>;
  readonly onLeave: () => void;
}) {
  const { session, desk, onLeave } = props;
  const { scope } = session;
  const { bucket, prefix, expires } = scope.info;
  // The folder that the grant is of; what is behind the last slash only narrows it.
  const root = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  const [place, go] = usePlace();
  const inside = place.bucket === bucket && place.folder.startsWith(root);
  const folder = inside ? place.folder : root;
  const changes = useStore(session.changes);
  const trouble = useStore(session.trouble);
  const [limit, setLimit] = useState(PAGE);
  const [entries, setEntries] = useState<readonly Entry[]>([]);
  const [more, setMore] = useState(false);
  const [looking, setLooking] = useState(false);
  const [fault, setFault] = useState('');
  const [shown, setShown] = useState<ObjectSummary | undefined>(undefined);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), [folder]);
  const failed = (error: unknown) => {
    const { title, text } = shareTroubleOf(error, 'access grant');
    setFault(`${title}. ${text}`);
  };
  useEffect(() => {
    let current = true;
    const read = async () => {
      const found: Entry[] = [];
      let rest = false;
      const list = async function* (options: { prefix: string; after: string }) {
        yield* await Promise.resolve(scope.list(options));
      };
      for await (const entry of entriesOf(list, folder)) {
        if (found.length >= limit) {
          rest = true;
          break;
        }
        found.push(entry);
      }
      if (!current) return;
      setEntries(found);
      setMore(rest);
    };
    read().catch((error: unknown) => current && failed(error));
    return () => {
      current = false;
    };
  }, [scope, folder, limit, changes]);
  const look = async () => {
    setLooking(true);
    await session.look();
    setLooking(false);
  };
  const goTo = (next: string) => go({ bucket, folder: next });
  const crumbs = crumbsOf(folder).filter(({ prefix: at }) => at.length >= root.length);
  return (
    <section class="card" aria-labelledby="place">
      {folder !== root && (
        <nav aria-label="Where you are" class="crumbs">
          <ol>
            <li>
              <button type="button" class="link" onClick={() => goTo(root)}>
                {bucket}/{prefix}
              </button>
            </li>
            {crumbs.slice(0, -1).map(
              ({ name, prefix: at }) =>
                at !== root && (
                  <li key={at}>
                    <button type="button" class="link" onClick={() => goTo(at)}>
                      {name}
                    </button>
                  </li>
                ),
            )}
          </ol>
        </nav>
      )}
      <header class="files-head">
        <h1 id="place" ref={heading} tabIndex={-1}>
          {folder === root ? `${bucket}/${prefix}` : crumbs.at(-1)?.name}
        </h1>
        <div class="row">
          <button type="button" class="button" disabled={looking} onClick={() => void look()}>
            {looking ? 'Looking …' : 'Look for changes'}
          </button>
          <button type="button" class="button" onClick={onLeave}>
            Leave
          </button>
        </div>
      </header>
      <p class="soft small">
        You see this by an access grant: you can look at files and download them, and what its owner
        adds comes by itself. It ends {expires === null ? 'when it is taken back' : date(expires)}.
      </p>
      {trouble !== undefined && (
        <p class="banner warn" role="alert">
          <strong>{trouble.title}.</strong> {trouble.text}
        </p>
      )}
      <p class="fault" role="alert">
        {fault}
      </p>
      {entries.length === 0 ? (
        <div class="empty">
          <Icon name="folder" />
          <p>
            <strong>Nothing is here yet.</strong>
          </p>
        </div>
      ) : (
        <table class="files">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col" class="number">
                Size
              </th>
              <th scope="col" class="wide-only">
                Stored
              </th>
              <th scope="col">
                <span class="hidden-text">Download</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {entries.map((entry) =>
              entry.kind === 'folder' ? (
                <tr key={entry.prefix}>
                  <td>
                    <button type="button" class="entry-name" onClick={() => goTo(entry.prefix)}>
                      <Icon name="folder" />
                      <span>{entry.name === '' ? '(no name)' : entry.name}</span>
                      <span class="hidden-text">, folder</span>
                    </button>
                  </td>
                  <td />
                  <td class="wide-only" />
                  <td />
                </tr>
              ) : (
                <FileLine
                  key={`${entry.object.name} ${entry.object.sha256}`}
                  session={session}
                  desk={desk}
                  object={entry.object}
                  name={entry.name}
                  onOpen={() => setShown(entry.object)}
                  onFault={failed}
                />
              ),
            )}
          </tbody>
        </table>
      )}
      {more && (
        <div>
          <button type="button" class="button" onClick={() => setLimit(limit + PAGE)}>
            Show more
          </button>
        </div>
      )}
      {shown !== undefined && (
        <ShownFile
          session={session}
          desk={desk}
          bucket={bucket}
          object={shown}
          onFault={failed}
          onClose={() => setShown(undefined)}
        />
      )}
    </section>
  );
}

function useRange(session: GrantedSession, { name }: ObjectSummary): ReadRange {
  return useMemo<ReadRange>(
    () => (offset, length, signal) => session.scope.get(name, { offset, length, signal }),
    [session, name],
  );
}

function FileLine(props: {
  readonly session: GrantedSession;
  readonly desk: Promise<StreamDesk>;
  readonly object: ObjectSummary;
  /** Without its folder. */
  readonly name: string;
  readonly onOpen: () => void;
  readonly onFault: (error: unknown) => void;
}) {
  const { session, desk, object, name, onOpen, onFault } = props;
  const { size, created } = object;
  const read = useRange(session, object);
  const { download, save, stop } = useDownload(desk, { name, size, read }, onFault);
  const part = download.kind === 'running' && size > 0 ? download.done / size : 0;
  return (
    <tr>
      <td>
        <button type="button" class="entry-name" onClick={onOpen}>
          <Icon name={iconOf(name)} />
          <span>{name}</span>
        </button>
        {download.kind === 'running' && (
          <Meter share={part} label={`${percent(part)} of the download of ${name}`} />
        )}
        {download.kind === 'done' && (
          <span class="soft small" role="status">
            Every byte was verified, and went to your downloads.
          </span>
        )}
      </td>
      <td class="number">{bytes(size)}</td>
      <td class="wide-only soft">{date(created)}</td>
      <td class="number">
        <button
          type="button"
          class="button"
          aria-label={`${download.kind === 'running' ? 'Stop' : 'Download'} ${name}`}
          onClick={() => (download.kind === 'running' ? stop() : void save())}
        >
          <Icon name={download.kind === 'running' ? 'close' : 'download'} />
        </button>
      </td>
    </tr>
  );
}

function ShownFile(props: {
  readonly session: GrantedSession;
  readonly desk: Promise<StreamDesk>;
  readonly bucket: string;
  readonly object: ObjectSummary;
  readonly onFault: (error: unknown) => void;
  readonly onClose: () => void;
}) {
  const { session, desk, bucket, object, onFault, onClose } = props;
  const name = object.name.split('/').at(-1) ?? object.name;
  const read = useRange(session, object);
  const { save } = useDownload(desk, { name, size: object.size, read }, onFault);
  return (
    <Preview
      source={session}
      desk={desk}
      bucket={bucket}
      object={object}
      onDownload={() => void save()}
      onClose={onClose}
    />
  );
}
