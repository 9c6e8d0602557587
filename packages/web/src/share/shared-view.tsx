import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { SharedObject } from '@granary/renter';
import { Icon } from '../app/icons.js';
import { lookOf } from '../app/media-type.js';
import { MediaView, type ReadRange } from '../app/media-view.js';
import { useDownload } from '../app/use-download.js';
import { bytes, count, date, percent } from '../design/format.js';
import { Facts, Meter } from '../design/parts.js';
import type { StreamDesk } from '../stream-worker/stream-desk.js';
import { shareTroubleOf } from './share-trouble.js';

/** An object that is shared: what it is, how it looks, and a download. */
export function SharedView(props: {
  readonly shared: SharedObject;
  readonly desk: Promise<StreamDesk>;
}) {
  const { shared, desk } = props;
  const { name, size, sha256, stored, expires } = shared.info;
  const look = lookOf(name);
  const [fault, setFault] = useState('');
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), [shared]);

  const read = useMemo<ReadRange>(
    () => (offset, length, signal) => shared.read({ offset, length, signal }),
    [shared],
  );
  const failed = (error: unknown) => {
    const { title, text } = shareTroubleOf(error);
    setFault(`${title}: ${text}`);
  };

  const { download, save, stop } = useDownload(desk, { name, size, read }, failed);

  const part = download.kind === 'running' && size > 0 ? download.done / size : 0;
  return (
    <section class="card share" aria-labelledby="shared-name">
      <header class="share-head">
        <h1 id="shared-name" ref={heading} tabIndex={-1}>
          {name}
        </h1>
        <p class="share-actions">
          {download.kind === 'running' ? (
            <button type="button" class="button" onClick={stop}>
              <Icon name="close" /> Stop
            </button>
          ) : (
            <button
              type="button"
              class="button main"
              onClick={() => {
                setFault('');
                void save();
              }}
            >
              <Icon name="download" /> Download ({bytes(size)})
            </button>
          )}
        </p>
      </header>
      {download.kind === 'running' && (
        <p class="share-progress">
          <Meter share={part} label={`${percent(part)} of the download`} />
          <span class="soft small">
            {bytes(download.done)} of {bytes(size)}
          </span>
        </p>
      )}
      {download.kind === 'done' && (
        <p class="soft small" role="status">
          Every byte was verified, and went to your downloads.
        </p>
      )}
      <p class="fault" role="alert">
        {fault}
      </p>
      {look !== undefined && size > 0 && (
        <MediaView name={name} size={size} read={read} desk={desk} onFault={failed} />
      )}
      <Facts
        facts={[
          ['Size', `${bytes(size)} (${count(size)} bytes)`],
          ['Stored', date(stored)],
          ['This link ends', expires === null ? 'when it is taken back' : date(expires)],
          ['SHA-256', <span class="mono">{sha256}</span>],
        ]}
      />
    </section>
  );
}
