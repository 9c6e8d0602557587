import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { type ObjectSummary, checkPath } from '@granary/renter';
import { bytes, counted, date } from '../design/format.js';
import type { StreamDesk } from '../stream-worker/stream-desk.js';
import { announce } from './announcer.js';
import { type ChosenFile, MAX_FILES } from './chosen-files.js';
import { DetailsDialog } from './details.js';
import { Ask, Confirm } from './dialog.js';
import { DropZone } from './drop-zone.js';
import { HealthBadge } from './health.js';
import { GrantDialog } from './grant-dialog.js';
import { Icon, iconOf } from './icons.js';
import { type Entry, crumbsOf, entriesOf } from './listing.js';
import { Menu } from './menu.js';
import { actionsOf } from './object-actions.js';
import type { Place } from './place.js';
import { Preview } from './preview.js';
import type { Session } from './session.js';
import { ShareDialog } from './share-dialog.js';
import { useStore } from './store.js';
import { troubleOf } from './trouble.js';
import { UploadButtons } from './upload-buttons.js';

/** Lines shown at first, and added each time that more are wanted. */
const PAGE = 100;
/** Objects of a folder that are deleted or downloaded at a time. */
const MAX_AT_ONCE = 10_000;

type Shown =
  | { readonly kind: 'preview' | 'share' | 'details' | 'remove'; readonly object: ObjectSummary }
  | { readonly kind: 'remove-folder'; readonly prefix: string; readonly name: string }
  | { readonly kind: 'grant'; readonly folder: string }
  | { readonly kind: 'new-folder' };

/** The files and folders of a place in a bucket. */
export function FilesView(props: {
  readonly session: Session;
  readonly desk: Promise<StreamDesk>;
  readonly bucket: string;
  readonly folder: string;
  readonly onGo: (place: Place) => void;
}) {
  const { session, desk, bucket, folder, onGo } = props;
  const { renter, transfers } = session;
  const changes = useStore(session.changes);
  const [begin, setBegin] = useState('');
  const [limit, setLimit] = useState(PAGE);
  const [entries, setEntries] = useState<readonly Entry[] | undefined>(undefined);
  const [more, setMore] = useState(false);
  const [fault, setFault] = useState('');
  const [shown, setShown] = useState<Shown | undefined>(undefined);
  const heading = useRef<HTMLHeadingElement>(null);
  const searchId = useId();
  const listOf = (options: { prefix: string; after: string }) => renter.list(bucket, options);

  useEffect(() => heading.current?.focus(), []);
  useEffect(() => {
    let current = true;
    const read = async () => {
      const found: Entry[] = [];
      let rest = false;
      for await (const entry of entriesOf(listOf, folder, begin)) {
        if (found.length >= limit) {
          rest = true;
          break;
        }
        found.push(entry);
      }
      if (!current) return;
      setEntries(found);
      setMore(rest);
      setFault('');
    };
    read().catch((error: unknown) => current && setFault(troubleOf(error).text));
    return () => {
      current = false;
    };
  }, [session, bucket, folder, begin, limit, changes]);

  const upload = (chosen: readonly ChosenFile[]) => {
    if (chosen.length >= MAX_FILES) {
      setFault(`The first ${MAX_FILES} files are taken. When they are done, drop the rest.`);
    }
    announce(`${counted(chosen.length, 'file')} to upload.`);
    void transfers.upload(bucket, folder, chosen).catch((error: unknown) => {
      setFault(troubleOf(error).text);
    });
  };
  const download = (object: ObjectSummary) => void transfers.download(bucket, object);
  const insideOf = async (prefix: string) => {
    const found: ObjectSummary[] = [];
    for await (const object of renter.list(bucket, { prefix, limit: MAX_AT_ONCE })) {
      found.push(object);
    }
    return found;
  };
  const remove = async (objects: readonly ObjectSummary[], what: string) => {
    try {
      let unconfirmed = 0;
      for (const { name } of objects) {
        const { pending } = await renter.delete({ bucket, name });
        unconfirmed += pending.length;
        session.changed();
      }
      announce(
        unconfirmed === 0
          ? `${what} is deleted. Every farmer has confirmed it.`
          : `${what} is deleted. ${unconfirmed} pieces are with farmers that do not answer now.`,
      );
    } catch (error) {
      const { text, advice } = troubleOf(error);
      setFault(`${what} could not be deleted: ${text} ${advice}`);
      session.changed();
    }
  };
  const close = () => setShown(undefined);
  const crumbs = crumbsOf(folder);
  const doers = {
    open: (object: ObjectSummary) => setShown({ kind: 'preview', object }),
    download,
    share: (object: ObjectSummary) => setShown({ kind: 'share', object }),
    details: (object: ObjectSummary) => setShown({ kind: 'details', object }),
    remove: (object: ObjectSummary) => setShown({ kind: 'remove', object }),
  };
  return (
    <DropZone
      label={`Drop to store in ${bucket}/${folder}`}
      onFiles={upload}
      onFault={(error) => setFault(`It could not be read: ${troubleOf(error).text}`)}
    >
      <section class="card" aria-labelledby="place">
        <nav aria-label="Where you are" class="crumbs">
          <ol>
            <li>
              <button type="button" class="link" onClick={() => onGo({ folder: '' })}>
                Buckets
              </button>
            </li>
            {crumbs.length > 0 && (
              <li>
                <button type="button" class="link" onClick={() => onGo({ bucket, folder: '' })}>
                  {bucket}
                </button>
              </li>
            )}
            {crumbs.slice(0, -1).map(({ name, prefix }) => (
              <li key={prefix}>
                <button type="button" class="link" onClick={() => onGo({ bucket, folder: prefix })}>
                  {name}
                </button>
              </li>
            ))}
          </ol>
        </nav>
        <header class="files-head">
          <h1 id="place" ref={heading} tabIndex={-1}>
            {crumbs.at(-1)?.name ?? bucket}
          </h1>
          <div class="row">
            <UploadButtons onFiles={upload} />
            <button type="button" class="button" onClick={() => setShown({ kind: 'new-folder' })}>
              <Icon name="plus" /> New folder
            </button>
            <button
              type="button"
              class="button"
              onClick={() => setShown({ kind: 'grant', folder })}
            >
              Give access
            </button>
          </div>
        </header>
        <div class="search">
          <label for={searchId} class="hidden-text">
            Names that begin with
          </label>
          <Icon name="search" />
          <input
            id={searchId}
            type="search"
            placeholder="Names that begin with …"
            autocomplete="off"
            spellcheck={false}
            value={begin}
            onInput={(event) => setBegin(event.currentTarget.value)}
          />
        </div>
        <p class="fault" role="alert">
          {fault}
        </p>
        {entries !== undefined && entries.length === 0 && (
          <div class="empty">
            <Icon name={begin === '' ? 'upload' : 'search'} />
            <p>
              <strong>
                {begin === '' ? 'Nothing is here yet.' : `No name here begins with “${begin}”.`}
              </strong>
            </p>
            {begin === '' && <p class="soft">Drop files or folders here, or choose some.</p>}
          </div>
        )}
        {entries !== undefined && entries.length > 0 && (
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
                <th scope="col" class="middle-only">
                  Can lose
                </th>
                <th scope="col">
                  <span class="hidden-text">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {entries.map((entry) =>
                entry.kind === 'folder' ? (
                  <tr key={`${entry.name}/`}>
                    <td>
                      <button
                        type="button"
                        class="entry-name"
                        onClick={() => onGo({ bucket, folder: entry.prefix })}
                      >
                        <Icon name="folder" />
                        <span>{entry.name === '' ? '(no name)' : entry.name}</span>
                        <span class="hidden-text">, folder</span>
                      </button>
                    </td>
                    <td />
                    <td class="wide-only" />
                    <td class="middle-only" />
                    <td class="number">
                      <Menu
                        label={`Actions for folder ${entry.name}`}
                        items={[
                          {
                            text: 'Open',
                            run: () => onGo({ bucket, folder: entry.prefix }),
                          },
                          {
                            text: 'Download all',
                            run: () =>
                              void insideOf(entry.prefix).then((all) => all.forEach(download)),
                          },
                          {
                            text: 'Give access',
                            run: () => setShown({ kind: 'grant', folder: entry.prefix }),
                          },
                          {
                            text: 'Delete all',
                            danger: true,
                            run: () =>
                              setShown({
                                kind: 'remove-folder',
                                prefix: entry.prefix,
                                name: entry.name,
                              }),
                          },
                        ]}
                      >
                        <Icon name="dots" />
                      </Menu>
                    </td>
                  </tr>
                ) : (
                  <tr key={entry.name}>
                    <td>
                      <button
                        type="button"
                        class="entry-name"
                        onClick={() => doers.open(entry.object)}
                      >
                        <Icon name={iconOf(entry.name)} />
                        <span>{entry.name}</span>
                      </button>
                    </td>
                    <td class="number">{bytes(entry.object.size)}</td>
                    <td class="wide-only soft">{date(entry.object.created)}</td>
                    <td class="middle-only">
                      <HealthBadge session={session} bucket={bucket} object={entry.object} />
                    </td>
                    <td class="number">
                      <Menu
                        label={`Actions for ${entry.name}`}
                        items={actionsOf(entry.object, doers)}
                      >
                        <Icon name="dots" />
                      </Menu>
                    </td>
                  </tr>
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
      </section>
      {shown?.kind === 'preview' && (
        <Preview
          source={renter}
          desk={desk}
          bucket={bucket}
          object={shown.object}
          onDownload={() => download(shown.object)}
          onClose={close}
        />
      )}
      {shown?.kind === 'share' && (
        <ShareDialog session={session} bucket={bucket} object={shown.object} onClose={close} />
      )}
      {shown?.kind === 'grant' && (
        <GrantDialog session={session} bucket={bucket} folder={shown.folder} onClose={close} />
      )}
      {shown?.kind === 'details' && (
        <DetailsDialog session={session} bucket={bucket} object={shown.object} onClose={close} />
      )}
      {shown?.kind === 'remove' && (
        <Confirm
          title={`Delete ${nameIn(shown.object.name, folder)}?`}
          action="Delete"
          onYes={() => void remove([shown.object], nameIn(shown.object.name, folder))}
          onClose={close}
        >
          <p>
            Its {bytes(shown.object.size)} are deleted at every farmer. This can’t be undone, and
            there is no bin.
          </p>
        </Confirm>
      )}
      {shown?.kind === 'remove-folder' && (
        <Confirm
          title={`Delete all of ${shown.name}?`}
          action="Delete all"
          onYes={() =>
            void insideOf(shown.prefix).then((all) => remove(all, `Folder ${shown.name}`))
          }
          onClose={close}
        >
          <p>Everything in this folder is deleted at every farmer. This can’t be undone.</p>
        </Confirm>
      )}
      {shown?.kind === 'new-folder' && (
        <Ask
          title="New folder"
          label="Its name"
          action="Open it"
          fault={(name) => {
            try {
              checkPath({ bucket, name: `${folder}${name}/x` });
              return name === '' ? 'A name, please.' : undefined;
            } catch (error) {
              return error instanceof Error ? error.message : String(error);
            }
          }}
          onText={(name) => onGo({ bucket, folder: `${folder}${name.replace(/\/+$/, '')}/` })}
          onClose={close}
        />
      )}
    </DropZone>
  );
}

function nameIn(name: string, folder: string): string {
  return name.slice(folder.length);
}
