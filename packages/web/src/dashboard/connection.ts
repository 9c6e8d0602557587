import type { z } from 'zod';
import {
  DASHBOARD_PROTOCOL,
  beatSchema,
  helloSchema,
  sampleSchema,
  stateSchema,
} from '../messages/stream.js';
import type { Event } from './model.js';

/** Nothing came for so long: the connection is dead, whatever the browser thinks. In milliseconds. */
const SILENCE_MS = 25_000;
/** Between two tries, at first and at most. */
const RETRY_MS = { first: 1_000, most: 15_000 };

/** What a {@link connect} works with; a browser has all of it. */
export interface Surroundings {
  readonly open: (path: string) => EventSource;
  /** The status of an answer; rejects when there is none. */
  readonly status: (path: string) => Promise<number>;
  readonly setTimeout: (run: () => void, ms: number) => unknown;
  readonly clearTimeout: (handle: unknown) => void;
}

/** A browser's. */
export const browser: Surroundings = {
  open: (path) => new EventSource(path),
  status: async (path) => (await fetch(path, { cache: 'no-store' })).status,
  setTimeout: (run, ms) => setTimeout(run, ms),
  clearTimeout: (handle) => clearTimeout(handle as number | undefined),
};

/**
 * Follow the server's events, and come back when they end. What does not fit its schema is left out and
 * counted as silence.
 *
 * @param dispatch - told of every event
 * @returns to be called to stop
 */
export function connect(
  dispatch: (event: Event) => void,
  { open, status, setTimeout, clearTimeout }: Surroundings = browser,
): () => void {
  let source: EventSource | undefined;
  let watchdog: unknown;
  let retry: unknown;
  let wait = RETRY_MS.first;
  let stopped = false;

  const heard = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(again, SILENCE_MS);
  };

  function again(): void {
    source?.close();
    source = undefined;
    clearTimeout(watchdog);
    clearTimeout(retry);
    if (stopped) return;
    dispatch({ type: 'connection', connection: 'lost' });
    retry = setTimeout(() => void look(), wait);
    wait = Math.min(RETRY_MS.most, wait * 2);
  }

  /** An EventSource does not say why it failed; a request does. */
  async function look(): Promise<void> {
    const answer = await status('api/session').catch(() => undefined);
    if (stopped) return;
    if (answer === 401 || answer === 421) dispatch({ type: 'connection', connection: 'denied' });
    if (answer === 200) return begin();
    retry = setTimeout(() => void look(), wait);
    wait = Math.min(RETRY_MS.most, wait * 2);
  }

  function begin(): void {
    const events = open('api/events');
    source = events;
    heard();
    const on = <T>(name: string, schema: z.ZodType<T>, take: (data: T) => void) =>
      events.addEventListener(name, (message) => {
        if (stopped || events !== source) return;
        const parsed = schema.safeParse(json((message as MessageEvent<string>).data));
        if (!parsed.success) return;
        heard();
        take(parsed.data);
      });
    on('hello', helloSchema, (hello) => {
      wait = RETRY_MS.first;
      if (hello.protocol !== DASHBOARD_PROTOCOL) {
        events.close();
        clearTimeout(watchdog);
        dispatch({ type: 'connection', connection: 'stale' });
        return;
      }
      dispatch({ type: 'hello', hello });
    });
    on('state', stateSchema, (state) => dispatch({ type: 'state', state }));
    on('sample', sampleSchema, (sample) => dispatch({ type: 'sample', sample }));
    on('beat', beatSchema, () => undefined);
    events.onerror = () => {
      if (events === source) again();
    };
  }

  begin();
  return () => {
    stopped = true;
    source?.close();
    clearTimeout(watchdog);
    clearTimeout(retry);
  };
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
