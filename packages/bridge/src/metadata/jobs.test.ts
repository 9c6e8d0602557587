import { expect, it } from 'vitest';
import { AheadClock, onEveryDatabase } from './databases.test-support.js';

const MINUTE = 60_000;

onEveryDatabase('jobs', (place) => {
  it('gives each job to one of many', async () => {
    const where = await place();
    const stores = await Promise.all([where.open(), where.open(), where.open()]);
    const now = Date.now();
    for (let i = 0; i < 30; i += 1) {
      await stores[0]!.addJob({ queue: 'q', id: `job ${i}`, payload: { i }, due: now - 30 + i });
    }
    expect(await stores[1]!.addJob({ queue: 'q', id: 'job 1', payload: null, due: 0 })).toBe(false);
    const taken = await Promise.all(
      Array.from({ length: 12 }, (_, i) => stores[i % 3]!.takeJobs('q', 5, MINUTE)),
    );
    const ids = taken.flat().map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const rest = (await stores[0]!.takeJobs('q', 1000, MINUTE)).map(({ id }) => id);
    expect(new Set([...ids, ...rest]).size).toBe(30);
    expect(ids.length + rest.length).toBe(30);
    expect(await stores[0]!.countJobs('q')).toEqual({ waiting: 0, leased: 30, failing: 0 });
  });

  it('passes a job on when its lease has run out, and refuses who had it', async () => {
    const where = await place();
    const clock = new AheadClock();
    const [one, two] = [await where.open(clock), await where.open(clock)];
    await one.addJob({ queue: 'q', id: 'a', payload: { text: 'x' }, due: clock.now() });
    const [mine] = await one.takeJobs('q', 1, MINUTE);
    expect(mine).toMatchObject({ payload: { text: 'x' }, attempts: 0, lastError: null });
    expect(await two.takeJobs('q', 1, MINUTE)).toEqual([]);
    clock.ahead += MINUTE / 2;
    const renewed = await one.renewJob(mine!, MINUTE);
    clock.ahead += MINUTE - 1000;
    expect(await two.takeJobs('q', 1, MINUTE)).toEqual([]);
    clock.ahead += 2000;
    const [taken] = await two.takeJobs('q', 1, MINUTE);
    expect(taken).toMatchObject({ id: 'a', attempts: 1 });
    const late = await Promise.allSettled([
      one.renewJob(renewed, MINUTE),
      one.finishJob(renewed),
      one.failJob(renewed, 'x', 0),
    ]);
    for (const result of late) {
      expect(result).toMatchObject({ reason: { code: 'METADATA_LEASE_LOST' } });
    }
    await two.failJob(taken!, 'it broke', clock.now() + MINUTE);
    expect(await two.countJobs('q')).toEqual({ waiting: 1, leased: 0, failing: 1 });
    expect(await two.takeJobs('q', 1, MINUTE)).toEqual([]);
    clock.ahead += MINUTE;
    const [again] = await one.takeJobs('q', 1, MINUTE);
    expect(again).toMatchObject({ lastError: 'it broke', attempts: 2 });
    await one.finishJob(again!, { due: clock.now() + MINUTE, payload: { text: 'y' } });
    clock.ahead += MINUTE;
    const [next] = await one.takeJobs('q', 1, MINUTE);
    expect(next).toMatchObject({ payload: { text: 'y' }, attempts: 0, lastError: null });
    await one.finishJob(next!);
    expect(await one.countJobs('q')).toEqual({ waiting: 0, leased: 0, failing: 0 });
  });
});
