import { beforeEach, describe, expect, it } from 'vitest';
import { type Surroundings, connect } from './connection.js';
import { type Event, type Model, after, growth, nothing, rates, values } from './model.js';

/** A browser whose time and network a test drives. */
class Harness implements Surroundings {
  readonly streams: FakeStream[] = [];
  readonly timers: { run: () => void; ms: number }[] = [];
  asked = 0;
  answer: number | undefined = 200;
  model: Model = nothing;

  readonly dispatch = (event: Event) => void (this.model = after(this.model, event));
  readonly open = () => {
    const stream = new FakeStream();
    this.streams.push(stream);
    return stream as unknown as EventSource;
  };
  readonly status = () => {
    this.asked += 1;
    return this.answer === undefined
      ? Promise.reject(new Error('nobody there'))
      : Promise.resolve(this.answer);
  };
  readonly setTimeout = (run: () => void, ms: number) => {
    const timer = { run, ms };
    this.timers.push(timer);
    return timer;
  };
  readonly clearTimeout = (handle: unknown) => {
    const at = this.timers.indexOf(handle as never);
    if (at >= 0) this.timers.splice(at, 1);
  };
  /** Let the only timer there is go off; how long it was set for. */
  async elapse(): Promise<number> {
    expect(this.timers).toHaveLength(1);
    const [timer] = this.timers.splice(0, 1);
    timer!.run();
    await new Promise((resolve) => setImmediate(resolve));
    return timer!.ms;
  }
  get stream(): FakeStream {
    return this.streams.at(-1)!;
  }
}

class FakeStream {
  closed = false;
  onerror: (() => void) | undefined;
  private readonly listeners = new Map<string, (message: { data: string }) => void>();
  addEventListener(name: string, run: (message: { data: string }) => void): void {
    this.listeners.set(name, run);
  }
  close(): void {
    this.closed = true;
  }
  say(name: string, data: unknown): void {
    this.listeners.get(name)!({ data: typeof data === 'string' ? data : JSON.stringify(data) });
  }
}

const hello = (protocol = 1) => ({
  protocol,
  kind: 'network',
  version: '1',
  startedAt: 1,
  recent: { stepMs: 5000, rows: [[1, 2, 3, 4, 5, 6, 7]] },
  day: { stepMs: 300000, rows: [] },
});
const state = { kind: 'network', time: 7, home: 'h', directory: 'd', farmers: [] };

let harness: Harness;
let stop: () => void;
beforeEach(() => {
  harness = new Harness();
  stop = connect(harness.dispatch, harness);
});

describe('the connection', () => {
  it('shows what comes, and leaves out what is not as it is described', () => {
    expect(harness.model.connection).toBe('connecting');
    harness.stream.say('hello', hello());
    harness.stream.say('state', state);
    harness.stream.say('sample', { recent: [2, 0, 0, 0, 0, 0, 0], day: null });
    expect(harness.model).toMatchObject({ connection: 'live', state });
    expect(harness.model.recent).toHaveLength(2);
    const before = harness.model;
    for (const bad of [
      '{',
      '{}',
      '[]',
      '"x"',
      { ...state, farmers: [{}] },
      { ...state, time: -1 },
    ]) {
      harness.stream.say('state', bad);
    }
    expect(harness.model).toBe(before);
  });

  it('comes back by itself when the stream ends, waiting longer each time', async () => {
    harness.stream.say('hello', hello());
    harness.answer = undefined;
    harness.stream.onerror!();
    expect(harness.model.connection).toBe('lost');
    const waits = [];
    for (let i = 0; i < 6; i += 1) waits.push(await harness.elapse());
    expect(waits).toEqual([1000, 2000, 4000, 8000, 15_000, 15_000]);
    harness.answer = 200;
    await harness.elapse();
    expect(harness.streams).toHaveLength(2);
    harness.stream.say('hello', hello());
    expect(harness.model.connection).toBe('live');
    harness.stream.onerror!();
    expect(await harness.elapse()).toBe(1000);
  });

  it('gives up a stream that says nothing for long', async () => {
    harness.stream.say('hello', hello());
    expect(await harness.elapse()).toBe(25_000);
    expect(harness.stream.closed).toBe(true);
    expect(harness.model.connection).toBe('lost');
  });

  it('says when it is not known any more, and takes nothing from an old stream', async () => {
    const old = harness.stream;
    old.say('hello', hello());
    harness.answer = 401;
    old.onerror!();
    await harness.elapse();
    expect(harness.model.connection).toBe('denied');
    old.say('state', state);
    harness.answer = 200;
    await harness.elapse();
    old.say('hello', hello());
    expect(harness.model.connection).toBe('denied');
  });

  it('does not go on with messages of another version', () => {
    harness.stream.say('hello', hello(2));
    expect(harness.model.connection).toBe('stale');
    expect(harness.stream.closed).toBe(true);
    expect(harness.timers).toEqual([]);
  });

  it('ends when it is told to', () => {
    stop();
    harness.stream.onerror!();
    expect(harness.timers).toEqual([]);
  });
});

describe('figures over time', () => {
  const rows = [
    [1000, 10, 100],
    [2000, 30, 100],
    [4000, 40, 50],
  ];
  it('are read by the names of their fields', () => {
    expect(values(rows, 'farmer', ['bytesOut']).map((point) => point.values)).toEqual([
      [100],
      [100],
      [50],
    ]);
  });
  it('grow from row to row, and a counter that began anew has not shrunk', () => {
    expect(rates(rows, 'farmer', ['bytesIn', 'bytesOut'])).toEqual([
      { time: 2000, values: [20, 0] },
      { time: 4000, values: [5, 0] },
    ]);
    expect(growth(rows, 'farmer', ['bytesIn']).map((point) => point.values)).toEqual([[20], [10]]);
    expect(rates([], 'farmer', ['bytesIn'])).toEqual([]);
  });
});
