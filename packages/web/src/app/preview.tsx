import { useMemo, useState } from 'preact/hooks';
import type { GetOptions, ObjectPath, ObjectSummary } from '@granary/renter';
import { bytes } from '../design/format.js';
import type { StreamDesk } from '../stream-worker/stream-desk.js';
import { Dialog } from './dialog.js';
import { Icon } from './icons.js';
import { MediaView, type ReadRange } from './media-view.js';
import { troubleOf } from './trouble.js';

/** What objects are read from: a renter, or an access grant. */
export interface ReadObjects {
  get(
    path: ObjectPath,
    options: Pick<GetOptions, 'offset' | 'length' | 'signal'>,
  ): AsyncIterable<Uint8Array>;
}

/** Shows an object: images, video, audio, text. */
export function Preview(props: {
  readonly source: ReadObjects;
  readonly desk: Promise<StreamDesk>;
  readonly bucket: string;
  readonly object: ObjectSummary;
  readonly onDownload: () => void;
  readonly onClose: () => void;
}) {
  const { source, desk, bucket, object, onDownload, onClose } = props;
  const shortName = object.name.split('/').at(-1) ?? object.name;
  const [fault, setFault] = useState('');
  const read = useMemo<ReadRange>(() => {
    const path = { bucket, name: object.name };
    return (offset, length, signal) => source.get(path, { offset, length, signal });
  }, [source, bucket, object]);
  const failed = (error: unknown) => {
    const trouble = troubleOf(error);
    setFault(`${trouble.text} ${trouble.advice}`);
  };
  return (
    <Dialog title={shortName} onClose={onClose} wide>
      <MediaView name={shortName} size={object.size} read={read} desk={desk} onFault={failed} />
      <p class="fault" role="alert">
        {fault}
      </p>
      <div class="dialog-actions">
        <span class="soft small start">{bytes(object.size)}</span>
        <button
          type="button"
          class="button main"
          onClick={() => {
            onDownload();
            onClose();
          }}
        >
          <Icon name="download" /> Download
        </button>
      </div>
    </Dialog>
  );
}
