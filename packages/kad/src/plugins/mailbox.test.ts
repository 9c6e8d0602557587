import { describe, expect, it } from 'vitest';
import { Identity } from '../identity.js';
import { signContact } from '../contact.js';
import type { KademliaNode } from '../kademlia-node.js';
import { type Letter, MAX_LETTER_LENGTH, parseLetter, writeLetter } from './letter.js';
import { Mailbox, type MailboxOptions } from './mailbox.js';
import { grown } from './plugins.test-support.js';

async function network(seed: string, count: number, options: MailboxOptions = {}) {
  const boxes: Mailbox[] = [];
  const made = await grown(seed, count, (i) => {
    boxes.push(new Mailbox(options));
    // The last one is behind a NAT.
    return { plugins: [boxes[i]!], reachable: i < count - 1 };
  });
  return { ...made, boxes };
}

function receiver(box: Mailbox, relays: readonly KademliaNode[]) {
  const letters: Letter[] = [];
  const controller = new AbortController();
  const contacts = relays.map(({ contact }) => contact);
  const open = box.receive((letter) => letters.push(letter), contacts, controller.signal);
  return { letters, open, stop: () => controller.abort() };
}

describe('a mailbox', () => {
  it('brings a letter to a node that has no address, at once and once', async () => {
    const { simulation, nodes, boxes } = await network('letters', 6);
    const relays = [nodes[1]!, nodes[2]!];
    const { letters, open } = receiver(boxes[5]!, relays);
    expect(await simulation.clock.settle(open)).toEqual(relays.map(({ contact }) => contact));
    const began = simulation.clock.now();
    const to = nodes[5]!.identity.nodeId;
    const contacts = relays.map(({ contact }) => contact);
    expect(await simulation.clock.settle(boxes[0]!.send(to, 'hello', contacts))).toBe(2);
    await simulation.clock.run(1000);
    expect(letters.map(({ text, from }) => [text, from.nodeId])).toEqual([
      ['hello', nodes[0]!.identity.nodeId],
    ]);
    expect(simulation.clock.now() - began).toBeLessThan(2000);
    // And again after several rounds of held questions.
    await simulation.clock.run(100_000);
    await simulation.clock.settle(boxes[3]!.send(to, 'still there', contacts));
    await simulation.clock.run(1000);
    expect(letters.map(({ text }) => text)).toEqual(['hello', 'still there']);
  });

  it('takes letters for itself straight, when somebody wants them', async () => {
    const { simulation, nodes, boxes } = await network('straight', 3);
    const to = nodes[1]!;
    const send = () => boxes[0]!.send(to.identity.nodeId, 'x', [to.contact]);
    await expect(simulation.clock.settle(send())).rejects.toMatchObject({
      code: 'KAD_UNREACHABLE',
    });
    const { letters } = receiver(boxes[1]!, []);
    await simulation.clock.settle(send());
    expect(letters).toHaveLength(1);
  });

  it('goes on after a relay was away', async () => {
    const { simulation, nodes, boxes } = await network('away', 5);
    const { letters } = receiver(boxes[4]!, [nodes[1]!, nodes[2]!]);
    await simulation.clock.run(1000);
    await nodes[1]!.stop();
    await simulation.clock.run(120_000);
    await simulation.clock.settle(
      boxes[0]!.send(nodes[4]!.identity.nodeId, 'x', [nodes[1]!.contact, nodes[2]!.contact]),
    );
    await simulation.clock.run(1000);
    expect(letters).toHaveLength(1);
  });

  it('says which relays keep letters for us', async () => {
    const { simulation, nodes, boxes } = await network('who', 5);
    await nodes[1]!.stop();
    const { open } = receiver(boxes[4]!, [nodes[1]!, nodes[2]!]);
    expect(await simulation.clock.settle(open)).toEqual([nodes[2]!.contact]);
  });

  it('keeps letters for nobody that does not ask for them, and no more than it may', async () => {
    const { simulation, nodes, boxes } = await network('bounds', 5, {
      clients: 1,
      lettersEach: 3,
    });
    const relay = nodes[1]!;
    const client = nodes[4]!;
    const send = () => boxes[0]!.send(client.identity.nodeId, 'x', [relay.contact]);
    await expect(simulation.clock.settle(send())).rejects.toThrow(/nobody takes letters/);
    await simulation.clock.settle(client.call(relay.contact, 'LETTER_PULL', { wait: false }));
    // A second client finds no room.
    await expect(
      simulation.clock.settle(nodes[2]!.call(relay.contact, 'LETTER_PULL', { wait: false })),
    ).rejects.toMatchObject({ remoteCode: 'KAD_FULL' });
    for (let i = 0; i < 3; i += 1) await simulation.clock.settle(send());
    await expect(simulation.clock.settle(send())).rejects.toThrow(/nobody takes letters/);
    // Who stops asking is forgotten, and makes room.
    await simulation.clock.run(90_000);
    await simulation.clock.settle(nodes[2]!.call(relay.contact, 'LETTER_PULL', { wait: false }));
  });

  it('delivers nothing that its writer has not signed, nor what is old, nor for another', async () => {
    const { simulation, nodes, boxes } = await network('forged', 3);
    const { letters } = receiver(boxes[1]!, []);
    const writer = Identity.generate();
    const from = signContact(writer, { addresses: [], sequence: 1 });
    const now = simulation.clock.now();
    const good = {
      from,
      to: nodes[1]!.identity.nodeId,
      time: now,
      nonce: 'ab'.repeat(16),
      text: 'x',
    };
    const send = (letter: unknown) =>
      simulation.clock
        .settle(nodes[0]!.call(nodes[1]!.contact, 'LETTER_SEND', { letter }))
        .catch(() => undefined);
    const signed = writeLetter(writer, good);
    await send({ ...signed, text: 'y' });
    await send({ ...signed, from: nodes[0]!.contact });
    await send({ ...signed, nonce: 'cd'.repeat(16) });
    await send(writeLetter(writer, { ...good, time: now - 200_000 }));
    await send(null);
    expect(letters).toEqual([]);
    await send(signed);
    await send(signed);
    expect(letters).toHaveLength(1);
  });
});

describe('a letter', () => {
  const writer = Identity.generate();
  const from = signContact(writer, { addresses: [], sequence: 1 });
  const body = { from, to: 'ab'.repeat(32), time: 5, nonce: '00'.repeat(16), text: 'x' };

  it('is read as it was written', () => {
    const letter = writeLetter(writer, body);
    expect(parseLetter(JSON.parse(JSON.stringify(letter)))).toEqual(letter);
  });

  it('has a length', () => {
    const text = 'x'.repeat(MAX_LETTER_LENGTH + 1);
    expect(() => writeLetter(writer, { ...body, text })).toThrow(/at most/);
  });

  it.each([
    ['to', 'x'],
    ['time', 1.5],
    ['nonce', 'xx'],
    ['text', 5],
    ['signature', 'ff'],
    ['from', {}],
  ])('with a wrong %s is refused', (name, value) => {
    const letter = { ...writeLetter(writer, body), [name]: value };
    expect(() => parseLetter(letter)).toThrow(/letter|contact/);
  });
});
