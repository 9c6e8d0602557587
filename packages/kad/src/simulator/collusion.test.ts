import { describe, expect, it } from 'vitest';
import type { KademliaNode } from '../kademlia-node.js';
import { compareDistance } from '../node-id.js';
import { Collusion } from './collusion.js';
import { grindIdentities } from './grinding.js';
import { Simulation } from './simulation.js';

const target = '5a'.repeat(32);

async function infiltrated() {
  const simulation = new Simulation({ seed: 'collusion' });
  const collusion = new Collusion(20);
  const nodes: KademliaNode[] = [];
  await simulation.grow(
    Array.from({ length: 80 }, () => simulation.node({ plugins: [collusion.plugin()] })),
    nodes,
  );
  const [asker, ...others] = nodes;
  const attackers = others.slice(0, 30);
  for (const { contact } of attackers) collusion.add(contact);
  const ask = (to: KademliaNode, method: string, params: unknown) =>
    simulation.clock.settle(asker!.call(to.contact, method, params));
  return { simulation, collusion, attackers, honest: others.slice(30), ask };
}

describe('colluding nodes', () => {
  it('behave until they attack, and honest nodes behave all the time', async () => {
    const { collusion, attackers, honest, ask } = await infiltrated();
    const before = await ask(attackers[0]!, 'FIND_NODE', { target });
    const fair = await ask(honest[0]!, 'FIND_NODE', { target });
    collusion.attack('misroute');
    expect(await ask(honest[0]!, 'FIND_NODE', { target })).toEqual(fair);
    expect(await ask(attackers[0]!, 'FIND_NODE', { target })).not.toEqual(before);
    collusion.attack(undefined);
    expect(await ask(attackers[0]!, 'FIND_NODE', { target })).toEqual(before);
  });

  it('name those of them who are closest to the target', async () => {
    const { collusion, attackers, ask } = await infiltrated();
    collusion.attack('misroute');
    const expected = attackers
      .map(({ contact }) => contact)
      .sort((a, b) => compareDistance(a.nodeId, b.nodeId, target))
      .slice(0, 20);
    expect(await ask(attackers[3]!, 'FIND_NODE', { target })).toEqual({ contacts: expected });
    expect(await ask(attackers[3]!, 'FIND_VALUE', { key: target })).toEqual({ contacts: expected });
  });

  it('are silent to questions and answer pings', async () => {
    const { collusion, attackers, ask } = await infiltrated();
    collusion.attack('drop');
    expect(await ask(attackers[0]!, 'PING', {})).toEqual({});
    await expect(ask(attackers[0]!, 'FIND_NODE', { target })).rejects.toMatchObject({
      code: 'KAD_TIMEOUT',
    });
  });

  it('take values and do not keep them', async () => {
    const { collusion, attackers, ask } = await infiltrated();
    collusion.attack('misroute');
    const key = '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824';
    const stored = { key, value: Buffer.from('hello').toString('base64'), ttl: 1000 };
    expect(await ask(attackers[0]!, 'STORE', stored)).toEqual({ stored: true });
    collusion.attack(undefined);
    expect(await ask(attackers[0]!, 'FIND_VALUE', { key })).not.toHaveProperty('value');
  });

  it('make up identities only when they lie, and these answer', async () => {
    const { simulation, collusion, attackers, ask } = await infiltrated();
    for (const { contact } of attackers) collusion.forge(simulation, contact, 5, simulation.random);
    const named = async () => {
      const answer = await ask(attackers[0]!, 'FIND_NODE', { target });
      return (answer as { contacts: { nodeId: string; addresses: string[] }[] }).contacts;
    };
    const genuine = new Set(attackers.map(({ contact }) => contact.nodeId));
    collusion.attack('misroute');
    expect((await named()).every(({ nodeId }) => genuine.has(nodeId))).toBe(true);
    collusion.attack('lie');
    const forged = (await named()).filter(({ nodeId }) => !genuine.has(nodeId));
    expect(forged.length).toBeGreaterThan(10);
    expect(forged[0]!.addresses[0]).toMatch(/:[2-6]$/);
  });
});

describe('grinding', () => {
  it('finds identities nearer to a key, each after as many tries as there are nodes', () => {
    const { random } = new Simulation({ seed: 'grind' });
    // One ID in 16 is nearer to the key than this one.
    const limit = `4${'0'.repeat(63)}`;
    const { identities, tries } = grindIdentities(10, `5${'0'.repeat(63)}`, limit, random);
    for (const { nodeId } of identities) {
      expect(compareDistance(nodeId, limit, `5${'0'.repeat(63)}`)).toBeLessThan(0);
    }
    expect(tries).toBeGreaterThan(60);
    expect(tries).toBeLessThan(400);
  });
});
