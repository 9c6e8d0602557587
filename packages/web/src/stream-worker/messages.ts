// What the service worker and a page say to each other. Everything but the question goes over a channel
// that the question brings.

/** Below the scope: addresses that are answered from a page. */
export const STREAM_PATH = 'stream/';

/** What a page says so that the browser does not end an idle worker while bytes flow. */
export const KEEP = 'granary: keep';
/** What a page says that wants to be under the worker's control. */
export const CLAIM = 'granary: claim';

/** The worker asks every page: is this one of yours? */
export interface StreamQuestion {
  readonly granaryStream: string;
}

/** What a stream is. */
export interface StreamAbout {
  /** Bytes in all. */
  readonly size: number;
  /** Media type. */
  readonly type: string;
  /** File name for who saves it. */
  readonly name: string;
  /** Whether it is to be saved; if not, it can be shown in a page, and not be opened by itself. */
  readonly attachment: boolean;
}

/** What a page says on the channel. `beat`: it is at work. */
export type StreamAnswer =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'about'; readonly about: StreamAbout }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'beat' }
  | { readonly kind: 'end' }
  | { readonly kind: 'failed'; readonly reason: string };

/** What the worker says on the channel: `open` once, then `pull` for each piece. */
export type StreamOrder =
  | { readonly kind: 'open'; readonly offset: number; readonly length: number }
  | { readonly kind: 'pull' }
  | { readonly kind: 'cancel' };
