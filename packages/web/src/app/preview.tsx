import { useEffect, useState } from 'preact/hooks';
import type { ObjectSummary, Renter } from '@granary/renter';
import { bytes } from '../design/format.js';
import type { ServedBytes, StreamDesk } from '../stream-worker/stream-desk.js';
import { Dialog } from './dialog.js';
import { Icon } from './icons.js';
import { lookOf, mediaTypeOf } from './media-type.js';
import type { Session } from './session.js';
import { troubleOf } from './trouble.js';

/** Text shown at most. */
const MAX_TEXT = 256 * 1024;
/** Media are read in steps: small ones first, so that a seek is answered soon. */
const STEPS = [256 * 1024, 1024 * 1024, 4 * 1024 * 1024];

/** A run of an object for a player, which may leave off at any time. */
async function* readInSteps(
  renter: Renter,
  path: { bucket: string; name: string },
  from: number,
  total: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let offset = from;
  const end = from + total;
  for (let i = 0; offset < end; i += 1) {
    const length = Math.min(STEPS[Math.min(i, STEPS.length - 1)]!, end - offset);
    yield* renter.get(path, { offset, length, signal });
    offset += length;
  }
}

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
  const look = lookOf(object.name);
  const shortName = object.name.split('/').at(-1) ?? object.name;
  const [url, setUrl] = useState<string | undefined>(undefined);
  const [text, setText] = useState<string | undefined>(undefined);
  const [fault, setFault] = useState('');
  useEffect(() => {
    const { renter } = session;
    const path = { bucket, name: object.name };
    const stop = new AbortController();
    let served: ServedBytes | undefined;
    const failed = (error: unknown) => {
      if (stop.signal.aborted) return;
      const trouble = troubleOf(error);
      setFault(`${trouble.text} ${trouble.advice}`);
    };
    const begin = async () => {
      if (look === undefined) return;
      if (look === 'text') {
        const length = Math.min(object.size, MAX_TEXT);
        const decoder = new TextDecoder();
        let all = '';
        if (length > 0) {
          for await (const part of renter.get(path, { length, signal: stop.signal })) {
            all += decoder.decode(part, { stream: true });
          }
        }
        if (!stop.signal.aborted) setText(all);
        return;
      }
      const opened = await desk;
      if (stop.signal.aborted) return;
      served = opened.serve({
        name: shortName,
        type: mediaTypeOf(object.name),
        size: object.size,
        attachment: false,
        read: async function* (offset, length, signal) {
          try {
            if (look === 'image') yield* renter.get(path, { offset, length, signal });
            else yield* readInSteps(renter, path, offset, length, signal);
          } catch (error) {
            if (!signal.aborted) failed(error);
            throw error;
          }
        },
      });
      setUrl(served.url);
    };
    begin().catch(failed);
    return () => {
      stop.abort(new DOMException('it was closed', 'AbortError'));
      served?.close();
    };
  }, [session, desk, bucket, object]);
  const broken = () => {
    if (fault === '') setFault('This browser can’t show it. Download it to see it.');
  };
  return (
    <Dialog title={shortName} onClose={onClose} wide>
      <div class={`preview ${look ?? 'none'}`}>
        {look === undefined && (
          <p class="soft">There is no preview of such files. Download it to see it.</p>
        )}
        {look === 'image' && url !== undefined && (
          <img src={url} alt={shortName} onError={broken} />
        )}
        {look === 'video' && url !== undefined && (
          <video src={url} controls preload="metadata" aria-label={shortName} onError={broken} />
        )}
        {look === 'audio' && url !== undefined && (
          <audio src={url} controls preload="metadata" aria-label={shortName} onError={broken} />
        )}
        {look === 'text' && text !== undefined && (
          <pre tabIndex={0} role="region" aria-label={`Text of ${shortName}`}>
            {text}
          </pre>
        )}
        {look !== undefined && url === undefined && text === undefined && fault === '' && (
          <p class="soft" role="status">
            It is being fetched …
          </p>
        )}
      </div>
      <p class="fault" role="alert">
        {fault}
      </p>
      <div class="dialog-actions">
        <span class="soft small start">
          {bytes(object.size)}
          {look === 'text' &&
            object.size > MAX_TEXT &&
            `, of which the first ${bytes(MAX_TEXT)} are shown`}
        </span>
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
