import { useMemo, useState } from 'preact/hooks';
import type { ObjectSummary } from '@granary/renter';
import { bytes } from '../design/format.js';
import type { StreamDesk } from '../stream-worker/stream-desk.js';
import { Dialog } from './dialog.js';
import { Icon } from './icons.js';
import { MediaView, type ReadRange } from './media-view.js';
import type { Session } from './session.js';
import { troubleOf } from './trouble.js';

/** Shows an object: images, video, audio, text. */
export function Preview(props: {
  readonly session: Session;
  readonly desk: Promise<StreamDesk>;
  readonly bucket: string;
  readonly object: ObjectSummary;
  readonly onDownload: () => void;
  readonly onClose: () => void;
}) {
  const { session, desk, bucket, object, onDownload, onClose } = props;
  const shortName = object.name.split('/').at(-1) ?? object.name;
  const [fault, setFault] = useState('');
  const read = useMemo<ReadRange>(() => {
    const path = { bucket, name: object.name };
    return (offset, length, signal) => session.renter.get(path, { offset, length, signal });
  }, [session, bucket, object]);
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
