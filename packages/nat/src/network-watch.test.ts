import { describe, expect, it } from 'vitest';
import { NetworkWatch } from './network-watch.js';

/** Looks that give one description after another, and a wait for them. */
function looks(...descriptions: (string | Error)[]) {
  let at = 0;
  let done!: () => void;
  const all = new Promise<void>((resolve) => (done = resolve));
  return {
    all,
    look: () => {
      const next = descriptions[Math.min(at, descriptions.length - 1)]!;
      at += 1;
      if (at > descriptions.length) done();
      return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
    },
  };
}

describe('a network watch', () => {
  it('tells of each change, and of nothing else', async () => {
    let changes = 0;
    const { look, all } = looks('a', 'a', new Error('no'), 'a', 'b', 'b', 'a');
    const watch = new NetworkWatch({ onChange: () => (changes += 1), intervalMs: 1, look });
    watch.start();
    await all;
    watch.stop();
    expect(changes).toBe(2);
  });

  it('describes the network of this machine', async () => {
    let changes = 0;
    const watch = new NetworkWatch({ onChange: () => (changes += 1), intervalMs: 1 });
    watch.start();
    await new Promise((resolve) => setTimeout(resolve, 50));
    watch.stop();
    expect(changes).toBe(0);
  });
});
