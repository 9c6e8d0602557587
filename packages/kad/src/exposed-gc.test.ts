import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';

/** Whether a young and a full collection were forced, by kinds of `perf_hooks`, in a process of its own. */
function forced(flags: readonly string[]): unknown {
  const script = `
    import { PerformanceObserver } from 'node:perf_hooks';
    import { exposedGc } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)};
    const kinds = new Set();
    new PerformanceObserver((list) => {
      for (const { detail } of list.getEntries()) if (detail.flags & 4) kinds.add(detail.kind);
    }).observe({ entryTypes: ['gc'] });
    const collect = exposedGc();
    collect?.('young');
    collect?.('all');
    const begun = performance.now();
    const timer = setInterval(() => {
      const waits = collect !== undefined && kinds.size < 2 && performance.now() - begun < 10_000;
      if (waits) return;
      clearInterval(timer);
      console.log(JSON.stringify([collect !== undefined, ...kinds]));
    }, 20);
  `;
  const args = [...flags, '--input-type=module', '-e', script];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }));
}

it('collects what is young and everything where Node was told to allow it, and is not there elsewhere', () => {
  expect(forced(['--expose-gc'])).toEqual([true, 1, 4]);
  expect(forced([])).toEqual([false]);
});
