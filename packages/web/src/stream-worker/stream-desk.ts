import {
  CLAIM,
  KEEP,
  STREAM_PATH,
  type StreamAbout,
  type StreamAnswer,
  type StreamOrder,
  type StreamQuestion,
} from './messages.js';

/** Bytes that a page can bring, any run of them. */
export interface ByteSource extends StreamAbout {
  /**
   * Bring a run of the bytes, in order, in pieces of any size. It is asked for a piece when there is room
   * for it, and stopped (`return`, and the signal) when nobody wants more.
   */
  read(offset: number, length: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/** A source with an address. */
export interface ServedBytes {
  /** Of the same origin: for `<video>`, `<img>`, or a download. Good while this page is open. */
  readonly url: string;
  /** Answer no more; what is under way is stopped. */
  close(): void;
}

/** Why there are no streams here: the browser has no service workers, or does not let us have one. */
export class StreamError extends Error {
  override readonly name = 'StreamError';
  readonly code = 'WEB_NO_SERVICE_WORKER';
}

const KEEP_MS = 10_000;
const READY_MS = 15_000;
const FRAME_MS = 60_000;

/**
 * Gives bytes of this page addresses of their own, through a service worker: for what a browser only takes
 * from an address, such as a video that is sought through, or a download that is larger than memory.
 */
export class StreamDesk {
  private readonly sources = new Map<string, { source: ByteSource; stop: AbortController }>();
  private open = 0;
  private keeping: ReturnType<typeof setInterval> | undefined;

  private constructor(private readonly registration: ServiceWorkerRegistration) {
    navigator.serviceWorker.addEventListener('message', (event) => this.answer(event));
    navigator.serviceWorker.startMessages();
  }

  /**
   * Start the worker, and wait until it has this page in its care.
   *
   * @param script - the worker's file, beside the page
   * @throws StreamError WEB_NO_SERVICE_WORKER.
   */
  static async open(script = './stream-worker.js'): Promise<StreamDesk> {
    const workers = (navigator as { serviceWorker?: ServiceWorkerContainer }).serviceWorker;
    if (workers === undefined) throw new StreamError('there are no service workers here');
    try {
      const registration = await workers.register(script, { updateViaCache: 'none' });
      await inTime(workers.ready);
      if (workers.controller === null) {
        const controlled = new Promise<void>((resolve) =>
          workers.addEventListener('controllerchange', () => resolve(), { once: true }),
        );
        registration.active?.postMessage(CLAIM);
        await inTime(controlled);
      }
      return new StreamDesk(registration);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new StreamError(`the service worker does not start: ${reason}`, { cause: error });
    }
  }

  /** Give a source an address that nobody can guess. */
  serve(source: ByteSource): ServedBytes {
    const id = crypto.randomUUID();
    const stop = new AbortController();
    this.sources.set(id, { source, stop });
    const name = encodeURIComponent(source.name.split('/').at(-1) ?? '');
    return {
      url: new URL(`${STREAM_PATH}${id}/${name}`, this.registration.scope).href,
      close: () => {
        this.sources.delete(id);
        stop.abort(new DOMException('it is no longer served', 'AbortError'));
      },
    };
  }

  /** Have the browser save a source as a file, as it comes. The source is told how that goes by reads alone. */
  save(source: ByteSource): ServedBytes {
    const served = this.serve({ ...source, attachment: true });
    const frame = document.createElement('iframe');
    frame.hidden = true;
    frame.src = served.url;
    document.body.append(frame);
    setTimeout(() => frame.remove(), FRAME_MS);
    return served;
  }

  private answer({ data, ports: [port] }: MessageEvent<unknown>): void {
    const { granaryStream: id } = (data ?? {}) as Partial<StreamQuestion>;
    if (typeof id !== 'string' || port === undefined) return;
    const served = this.sources.get(id);
    const say = (what: StreamAnswer, move: Transferable[] = []) => port.postMessage(what, move);
    if (served === undefined) return say({ kind: 'unknown' });
    const { size, type, name, attachment } = served.source;
    this.serveOn(port, served.source, served.stop.signal, say);
    say({ kind: 'about', about: { size, type, name, attachment } });
  }

  private serveOn(
    port: MessagePort,
    source: ByteSource,
    outer: AbortSignal,
    say: (what: StreamAnswer, move?: Transferable[]) => void,
  ): void {
    const stop = new AbortController();
    let pieces: AsyncIterator<Uint8Array> | undefined;
    const finish = () => {
      if (stop.signal.aborted) return;
      stop.abort(new DOMException('nobody wants more', 'AbortError'));
      outer.removeEventListener('abort', finish);
      port.close();
      if (pieces !== undefined) this.closed();
      void Promise.resolve(pieces?.return?.()).catch(() => undefined);
    };
    const bring = async () => {
      const beat = setInterval(() => say({ kind: 'beat' }), KEEP_MS);
      try {
        const next = await pieces!.next();
        if (stop.signal.aborted) return;
        if (next.done === true) {
          say({ kind: 'end' });
          return finish();
        }
        const bytes = own(next.value);
        say({ kind: 'bytes', bytes }, [bytes.buffer]);
      } catch (error) {
        if (stop.signal.aborted) return;
        say({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) });
        finish();
      } finally {
        clearInterval(beat);
      }
    };
    port.onmessage = ({ data: order }: MessageEvent<StreamOrder>) => {
      if (order.kind === 'cancel') return finish();
      if (order.kind === 'open') {
        if (pieces !== undefined) return;
        this.opened();
        outer.addEventListener('abort', finish, { once: true });
        pieces = source.read(order.offset, order.length, stop.signal)[Symbol.asyncIterator]();
        return;
      }
      if (pieces !== undefined) void bring();
    };
  }

  /** While bytes flow the worker is spoken to, or the browser would end it as idle. */
  private opened(): void {
    this.open += 1;
    this.keeping ??= setInterval(() => this.registration.active?.postMessage(KEEP), KEEP_MS);
  }

  private closed(): void {
    if (this.open > 0) this.open -= 1;
    if (this.open > 0) return;
    clearInterval(this.keeping);
    this.keeping = undefined;
  }
}

/** Bytes in a buffer of their own, which can be handed over. */
function own(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = bytes.length === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer;
  return whole ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes);
}

async function inTime<T>(promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('it takes too long')), READY_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
