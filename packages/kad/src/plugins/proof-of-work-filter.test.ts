import { describe, expect, it } from 'vitest';
import { difficultyOf } from '../proof-of-work.js';
import { grown, knows } from './plugins.test-support.js';
import { ProofOfWorkFilter } from './proof-of-work-filter.js';

const BITS = 2;

describe('a network that asks for work', () => {
  it('has no place and no answer for identities that cost none', async () => {
    const { simulation, nodes } = await grown('work', 60);
    const worthy = nodes.filter(({ identity }) => difficultyOf(identity.nodeId) >= BITS);
    const cheap = nodes.filter(({ identity }) => difficultyOf(identity.nodeId) < BITS);
    expect(worthy.length).toBeGreaterThan(3);
    // A node that asks for it, among all of them.
    let strict = simulation.node({ plugins: [new ProofOfWorkFilter(BITS)] });
    while (difficultyOf(strict.identity.nodeId) < BITS) {
      strict = simulation.node({ plugins: [new ProofOfWorkFilter(BITS)] });
    }
    await strict.start();
    await simulation.clock.settle(strict.join([worthy[0]!.contact.addresses[0]!]));
    await simulation.clock.run(10_000);
    expect(cheap.filter((node) => knows(strict, node))).toEqual([]);
    expect(worthy.some((node) => knows(strict, node))).toBe(true);
    await expect(simulation.clock.settle(cheap[0]!.ping(strict.contact))).rejects.toMatchObject({
      remoteCode: 'KAD_UNPROVEN',
    });
    await simulation.clock.settle(worthy[1]!.ping(strict.contact));
  });
});
