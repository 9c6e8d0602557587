import { useEffect, useState } from 'preact/hooks';
import { bytes } from '../design/format.js';
import type { ServedBytes, StreamDesk } from '../stream-worker/stream-desk.js';
import { lookOf, mediaTypeOf } from './media-type.js';

/** Text shown at most. */
const MAX_TEXT = 256 * 1024;
/** Media are read in steps: small ones first, so that a seek is answered soon. */
const STEPS = [256 * 1024, 1024 * 1024, 4 * 1024 * 1024];

/** Reads a run of some bytes. */
export type ReadRange = (
  offset: number,
  length: number,
  signal: AbortSignal,
) => AsyncIterable<Uint8Array>;

/** A run of bytes for a player, which may leave off at any time. */
async function* readInSteps(
  read: ReadRange,
  from: number,
  total: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let offset = from;
  const end = from + total;
  for (let i = 0; offset < end; i += 1) {
    const length = Math.min(STEPS[Math.min(i, STEPS.length - 1)]!, end - offset);
    yield* read(offset, length, signal);
    offset += length;
  }
}

/** Shows bytes by what their name says that they are: images, video, audio, text. */
export function MediaView(props: {
  readonly name: string;
  readonly size: number;
  /** The same from one drawing to the next, or everything begins anew. */
  readonly read: ReadRange;
  readonly desk: Promise<StreamDesk>;
  readonly onFault: (error: unknown) => void;
}) {
  const { name, size, read, desk, onFault } = props;
  const look = lookOf(name);
  const [url, setUrl] = useState<string | undefined>(undefined);
  const [text, setText] = useState<string | undefined>(undefined);
  const [failed, setFailed] = useState(false);
  const [broken, setBroken] = useState(false);
  useEffect(() => {
    const stop = new AbortController();
    let served: ServedBytes | undefined;
    const fail = (error: unknown) => {
      if (stop.signal.aborted) return;
      setFailed(true);
      onFault(error);
    };
    const begin = async () => {
      if (look === undefined) return;
      if (look === 'text') {
        const length = Math.min(size, MAX_TEXT);
        const decoder = new TextDecoder();
        let all = '';
        if (length > 0) {
          for await (const part of read(0, length, stop.signal)) {
            all += decoder.decode(part, { stream: true });
          }
        }
        if (!stop.signal.aborted) setText(all);
        return;
      }
      const opened = await desk;
      if (stop.signal.aborted) return;
      served = opened.serve({
        name,
        type: mediaTypeOf(name),
        size,
        attachment: false,
        read: async function* (offset, length, signal) {
          try {
            if (look === 'image') yield* read(offset, length, signal);
            else yield* readInSteps(read, offset, length, signal);
          } catch (error) {
            if (!signal.aborted) fail(error);
            throw error;
          }
        },
      });
      setUrl(served.url);
    };
    begin().catch(fail);
    return () => {
      stop.abort(new DOMException('it was closed', 'AbortError'));
      served?.close();
    };
  }, [name, size, read, desk]);
  const onError = () => setBroken(true);
  return (
    <div class={`preview ${look ?? 'none'}`}>
      {look === undefined && (
        <p class="soft">There is no preview of such files. Download it to see it.</p>
      )}
      {look === 'image' && url !== undefined && <img src={url} alt={name} onError={onError} />}
      {look === 'video' && url !== undefined && (
        <video src={url} controls preload="metadata" aria-label={name} onError={onError} />
      )}
      {look === 'audio' && url !== undefined && (
        <audio src={url} controls preload="metadata" aria-label={name} onError={onError} />
      )}
      {look === 'text' && text !== undefined && (
        <pre tabIndex={0} role="region" aria-label={`Text of ${name}`}>
          {text}
        </pre>
      )}
      {look === 'text' && size > MAX_TEXT && (
        <p class="soft small">The first {bytes(MAX_TEXT)} are shown.</p>
      )}
      {look !== undefined && url === undefined && text === undefined && !failed && (
        <p class="soft" role="status">
          It is being fetched …
        </p>
      )}
      {broken && !failed && (
        <p class="fault" role="alert">
          This browser can’t show it. Download it to see it.
        </p>
      )}
    </div>
  );
}
