import { describe, expect, it } from 'vitest';
import { type TransferReport, type TransferTask, TransferQueue } from './transfer-queue.js';

/** A queue whose work is done by hand, on a clock that is moved by hand. */
function made(parallel = 2) {
  let now = 0;
  const timers = new Map<number, { at: number; run: () => void }>();
  let last = 0;
  const clock = {
    now: () => now,
    setTimeout: (run: () => void, ms: number) => {
      timers.set((last += 1), { at: now + ms, run });
      return last;
    },
    clearTimeout: (timer: unknown) => void timers.delete(timer as number),
  };
  const runs = new Map<
    string,
    {
      report: TransferReport;
      signal: AbortSignal;
      finish: () => void;
      fail: (error: unknown) => void;
    }
  >();
  const begun: string[] = [];
  const ended: string[] = [];
  const queue = new TransferQueue({
    run: (task, report, signal) =>
      new Promise<void>((resolve, reject) => {
        begun.push(task.id);
        runs.set(task.id, { report, signal, finish: resolve, fail: reject });
      }),
    onEnd: ({ id, state }) => void ended.push(`${id} ${state}`),
    clock,
    parallel,
  });
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  const pass = async (ms: number) => {
    const until = now + ms;
    for (;;) {
      const due = [...timers].filter(([, { at }]) => at <= until).sort((a, b) => a[1].at - b[1].at);
      const [timer] = due;
      if (timer === undefined) break;
      now = timer[1].at;
      timers.delete(timer[0]);
      timer[1].run();
      await settle();
    }
    now = until;
    await settle();
  };
  const states = async () => {
    await pass(250);
    return Object.fromEntries(queue.transfers.map(({ id, state }) => [id, state]));
  };
  return { queue, runs, begun, ended, settle, pass, states };
}

const task = (id: string, kind: TransferTask['kind'] = 'upload'): TransferTask => ({
  id,
  kind,
  bucket: 'b',
  name: id,
  size: 1000,
});
const unreachable = Object.assign(new Error('gone'), { code: 'RENTER_NETWORK_UNREACHABLE' });

describe('the queue of transfers', () => {
  it('has as many of a kind at work as it may, in order', async () => {
    const { queue, runs, begun, ended, settle, states } = made(2);
    for (const id of ['a', 'b', 'c']) queue.add(task(id));
    queue.add(task('d', 'download'));
    expect(begun).toEqual(['a', 'b', 'd']);
    runs.get('a')!.finish();
    await settle();
    expect(begun).toEqual(['a', 'b', 'd', 'c']);
    expect(ended).toEqual(['a done']);
    expect(await states()).toEqual({ a: 'done', b: 'running', c: 'running', d: 'running' });
  });

  it('pauses, goes on, and does not hear of what was paused', async () => {
    const { queue, runs, begun, settle, states } = made(1);
    queue.add(task('a'));
    const first = runs.get('a')!;
    first.report.bytes(100);
    queue.pause('a');
    expect(first.signal.aborted).toBe(true);
    first.report.bytes(900);
    first.fail(new Error('aborted'));
    await settle();
    expect(await states()).toEqual({ a: 'paused' });
    expect(queue.transfers[0]!.bytes).toBe(100);
    queue.resume('a');
    expect(begun).toEqual(['a', 'a']);
    runs.get('a')!.report.resumed(100);
    runs.get('a')!.finish();
    await settle();
    expect(await states()).toEqual({ a: 'done' });
    expect(queue.transfers[0]).toMatchObject({ bytes: 1000, resumed: 100 });
  });

  it('begins again only when the attempt before has stopped', async () => {
    const { queue, runs, begun, settle } = made(1);
    queue.add(task('a'));
    const first = runs.get('a')!;
    queue.pause('a');
    queue.resume('a');
    await settle();
    expect(begun).toEqual(['a']);
    first.fail(new Error('aborted'));
    await settle();
    expect(begun).toEqual(['a', 'a']);
    let stopped = false;
    void queue.remove('a').then(() => (stopped = true));
    await settle();
    expect(stopped).toBe(false);
    runs.get('a')!.fail(new Error('aborted'));
    await settle();
    expect(stopped).toBe(true);
  });

  it('tries again what may go by itself, ever later, and at once when told', async () => {
    const { queue, runs, begun, settle, pass, states } = made(1);
    queue.add(task('a'));
    for (const [tries, wait] of [
      [1, 3_000],
      [2, 6_000],
      [3, 12_000],
    ] as const) {
      expect(begun).toHaveLength(tries);
      runs.get('a')!.fail(unreachable);
      await settle();
      await pass(wait - 300);
      expect(begun).toHaveLength(tries);
      await pass(400);
    }
    runs.get('a')!.fail(unreachable);
    await settle();
    expect(await states()).toEqual({ a: 'retrying' });
    expect(queue.transfers[0]!.trouble?.code).toBe('RENTER_NETWORK_UNREACHABLE');
    queue.retryNow();
    expect(await states()).toEqual({ a: 'running' });
    expect(queue.transfers[0]!.trouble).toBeUndefined();
  });

  it('leaves what will not go by itself to the user', async () => {
    const { queue, runs, ended, settle, pass, begun, states } = made(1);
    queue.add(task('a'));
    runs.get('a')!.fail(Object.assign(new Error('x'), { code: 'RENTER_SOURCE' }));
    await settle();
    await pass(1_000_000);
    expect(await states()).toEqual({ a: 'failed' });
    expect(ended).toEqual(['a failed']);
    expect(begun).toHaveLength(1);
    queue.resume('a');
    expect(begun).toHaveLength(2);
  });

  it('waits when the connection goes, and for a file that is not at hand', async () => {
    const { queue, runs, begun, states } = made(1);
    queue.add(task('lost'), 'lost');
    queue.add(task('a'));
    expect(begun).toEqual(['a']);
    queue.interrupt({ text: '', advice: '', passing: true, code: 'offline' });
    expect(runs.get('a')!.signal.aborted).toBe(true);
    expect(await states()).toEqual({ lost: 'lost', a: 'retrying' });
    expect(queue.busy).toBe(true);
    void queue.remove('a');
    expect(await states()).toEqual({ lost: 'lost' });
    expect(queue.busy).toBe(false);
    queue.resume('lost');
    expect(begun).toEqual(['a', 'lost']);
    queue.close();
    expect(runs.get('lost')!.signal.aborted).toBe(true);
  });
});
