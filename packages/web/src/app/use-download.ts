import { useState } from 'preact/hooks';
import type { ServedBytes, StreamDesk } from '../stream-worker/stream-desk.js';
import { announce } from './announcer.js';
import { mediaTypeOf } from './media-type.js';
import type { ReadRange } from './media-view.js';

/** How far a download is that goes straight into the browser's own. */
export type Download =
  | { readonly kind: 'none' }
  | { readonly kind: 'running'; readonly done: number; readonly served: ServedBytes }
  | { readonly kind: 'done' };

/** A download of one file through the service worker, without a list of transfers. */
export function useDownload(
  desk: Promise<StreamDesk>,
  { name, size, read }: { readonly name: string; readonly size: number; readonly read: ReadRange },
  onFault: (error: unknown) => void,
): { readonly download: Download; save(): Promise<void>; stop(): void } {
  const [download, setDownload] = useState<Download>({ kind: 'none' });
  const save = async () => {
    try {
      const opened = await desk;
      let done = 0;
      const served = opened.save({
        name,
        size,
        type: mediaTypeOf(name),
        attachment: true,
        read: async function* (offset, length, signal) {
          try {
            for await (const part of read(offset, length, signal)) {
              done += part.length;
              setDownload({ kind: 'running', done, served });
              yield part;
            }
            if (offset + length === size) {
              setDownload({ kind: 'done' });
              announce(`${name} is downloaded.`);
            }
          } catch (error) {
            if (!signal.aborted) onFault(error);
            setDownload({ kind: 'none' });
            throw error;
          }
        },
      });
      setDownload({ kind: 'running', done: 0, served });
    } catch (error) {
      onFault(error);
    }
  };
  const stop = () => {
    if (download.kind === 'running') download.served.close();
    setDownload({ kind: 'none' });
  };
  return { download, save, stop };
}
