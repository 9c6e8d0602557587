import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { ShortLivedBuffers } from './short-lived-buffers.js';

it('collects once for every eight MiB, however they come', () => {
  let collected = 0;
  const buffers = new ShortLivedBuffers((what) => {
    expect(what).toBe('young');
    collected += 1;
  });
  for (let i = 0; i < 300; i += 1) buffers.note(65_536);
  expect(collected).toBe(2);
  buffers.note(1024 * 1024);
  expect(collected).toBe(2);
  buffers.note(50 * 1024 * 1024);
  expect(collected).toBe(3);
});

it('is of young garbage alone, and nothing at all where it can not be asked for', () => {
  const script = `
    import { PerformanceObserver } from 'node:perf_hooks';
    import { ShortLivedBuffers } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)};
    const kinds = [];
    new PerformanceObserver((list) => {
      for (const { detail } of list.getEntries()) if (detail.flags === 4) kinds.push(detail.kind);
    }).observe({ entryTypes: ['gc'] });
    const buffers = new ShortLivedBuffers();
    for (let i = 0; i < 150; i += 1) buffers.note(65536);
    setTimeout(() => console.log(JSON.stringify(kinds)), 50);
  `;
  const run = (...flags: string[]) =>
    JSON.parse(
      execFileSync(process.execPath, [...flags, '--input-type=module', '-e', script], {
        encoding: 'utf8',
      }),
    ) as unknown;
  // Scavenges (kind 1) that were forced (flag 4).
  expect(run('--expose-gc')).toEqual([1]);
  expect(run()).toEqual([]);
});
