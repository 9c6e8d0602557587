// The service worker of the pages. It answers addresses below `stream/` with bytes that an open page has,
// and keeps the pages' own files for when there is no network. It has no keys and nothing to decrypt with,
// and remembers nothing: the browser may end it and start it again between any two requests.
import { parseByteRange } from './byte-range.js';
import {
  CLAIM,
  STREAM_PATH,
  type StreamAbout,
  type StreamAnswer,
  type StreamOrder,
  type StreamQuestion,
} from './messages.js';
import { fileOfPages, forgetOldFiles } from './page-files.js';

declare const self: ServiceWorkerGlobalScope;

/** Time for pages to say whether a stream is theirs. */
const ASK_MS = 10_000;
/** A page that says nothing for so long while it is to bring bytes is gone. Busy ones say so more often. */
const SILENCE_MS = 60_000;

/**
 * Whatever is in the bytes, they run nothing: a file of the user's, opened by itself, would else be a page
 * of this origin, with all that is in its reach.
 */
const HARMLESS = {
  'content-security-policy': "default-src 'none'; sandbox",
  'x-content-type-options': 'nosniff',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
};

self.addEventListener('install', () => void self.skipWaiting());
self.addEventListener('activate', (event) =>
  event.waitUntil(Promise.all([self.clients.claim(), forgetOldFiles()])),
);
self.addEventListener('message', (event) => {
  if (event.data === CLAIM) event.waitUntil(self.clients.claim());
});
self.addEventListener('fetch', (event) => {
  const { request } = event;
  const { href } = new URL(request.url);
  const streams = new URL(STREAM_PATH, self.registration.scope).href;
  if (href.startsWith(streams)) {
    const [id = ''] = href.slice(streams.length).split(/[/?#]/);
    event.respondWith(stream(id, request));
  } else if (request.method === 'GET' && href.startsWith(self.registration.scope)) {
    event.respondWith(fileOfPages(request));
  }
});

async function stream(id: string, request: Request): Promise<Response> {
  const found = await askPages(id);
  if (found === undefined) {
    return plain(404, 'The page that this comes from is not open any more. Open it and try again.');
  }
  const { about, port } = found;
  if (request.mode === 'navigate' && !about.attachment) {
    port.close();
    return plain(403, 'This can be looked at in the page that it comes from only.');
  }
  const range = parseByteRange(request.headers.get('range'), about.size);
  const headers = new Headers({
    ...HARMLESS,
    'accept-ranges': 'bytes',
    'content-type': about.attachment ? 'application/octet-stream' : about.type,
  });
  if (about.attachment) {
    const name = encodeURIComponent(about.name).replace(/['()*]/g, (c) => `%${hex(c)}`);
    headers.set('content-disposition', `attachment; filename*=UTF-8''${name}`);
  }
  if (range === 'none') {
    port.close();
    headers.set('content-range', `bytes */${about.size}`);
    return new Response(null, { status: 416, headers });
  }
  const { offset, length } = range === 'whole' ? { offset: 0, length: about.size } : range;
  headers.set('content-length', String(length));
  if (range !== 'whole') {
    headers.set('content-range', `bytes ${offset}-${offset + length - 1}/${about.size}`);
  }
  const status = range === 'whole' ? 200 : 206;
  if (request.method === 'HEAD' || length === 0) {
    port.close();
    return new Response(null, { status, headers });
  }
  return new Response(bytesOf(port, offset, length), { status, headers });
}

interface Found {
  readonly about: StreamAbout;
  readonly port: MessagePort;
}

/** Ask all open pages whose stream this is. */
async function askPages(id: string): Promise<Found | undefined> {
  const pages = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
  return new Promise((resolve) => {
    const ports = new Set<MessagePort>();
    const finish = (found: Found | undefined) => {
      clearTimeout(timer);
      for (const port of ports) if (port !== found?.port) port.close();
      resolve(found);
    };
    const timer = setTimeout(() => finish(undefined), ASK_MS);
    for (const page of pages) {
      const { port1, port2 } = new MessageChannel();
      ports.add(port1);
      port1.onmessage = ({ data }: MessageEvent<StreamAnswer>) => {
        if (data.kind === 'about') return finish({ about: data.about, port: port1 });
        ports.delete(port1);
        port1.close();
        if (ports.size === 0) finish(undefined);
      };
      const question: StreamQuestion = { granaryStream: id };
      page.postMessage(question, [port2]);
    }
    if (pages.length === 0) finish(undefined);
  });
}

/** The bytes as a page brings them: one piece each time that the reader has room. */
function bytesOf(port: MessagePort, offset: number, length: number): ReadableStream<Uint8Array> {
  const order = (what: StreamOrder) => port.postMessage(what);
  let arrived: ((answer: StreamAnswer) => void) | undefined;
  port.onmessage = ({ data }: MessageEvent<StreamAnswer>) => arrived?.(data);
  order({ kind: 'open', offset, length });
  return new ReadableStream<Uint8Array>(
    {
      pull: (controller) =>
        new Promise<void>((resolve) => {
          let timer: ReturnType<typeof setTimeout> | undefined;
          const wait = () => {
            clearTimeout(timer);
            timer = setTimeout(
              () => arrived?.({ kind: 'failed', reason: 'the page is gone' }),
              SILENCE_MS,
            );
          };
          arrived = (answer) => {
            if (answer.kind === 'beat') return wait();
            clearTimeout(timer);
            arrived = undefined;
            if (answer.kind === 'bytes') controller.enqueue(answer.bytes);
            else {
              port.close();
              if (answer.kind === 'end') controller.close();
              else controller.error(new TypeError('reason' in answer ? answer.reason : 'failed'));
            }
            resolve();
          };
          wait();
          order({ kind: 'pull' });
        }),
      cancel: () => {
        order({ kind: 'cancel' });
        port.close();
      },
    },
    { highWaterMark: 0 },
  );
}

function plain(status: number, text: string): Response {
  const headers = { ...HARMLESS, 'content-type': 'text/plain; charset=utf-8' };
  return new Response(`${text}\n`, { status, headers });
}

function hex(character: string): string {
  return character.charCodeAt(0).toString(16).toUpperCase();
}
