import { afterEach, describe, expect, it } from 'vitest';
import { type KademliaNode, type RemoteError, formatAddress } from '@granary/kad';
import { DIAL_BACK, DialBack, type DialBackOptions, OBSERVED_ADDRESS } from './dial-back.js';
import { type FakeHost, FakeInternet, fakeNode } from './fake-internet.test-support.js';

let internet: FakeInternet;
const nodes: KademliaNode[] = [];

async function helper(options: DialBackOptions = {}): Promise<KademliaNode> {
  const host = { ip: '198.18.0.1', port: 4600, open: [4600] };
  const node = fakeNode(internet, host, [new DialBack(options)], {
    announce: ['https://198.18.0.1:4600'],
  });
  await node.start();
  nodes.push(node);
  return node;
}
async function asker(host: FakeHost): Promise<KademliaNode> {
  const node = fakeNode(internet, host, []);
  await node.start();
  nodes.push(node);
  return node;
}
/** What the helper says; the code of its refusal. */
async function ask(from: KademliaNode, to: KademliaNode, address: unknown): Promise<unknown> {
  return from.call(to.contact, DIAL_BACK, { address }).then(
    (answer) => (answer as { reached: boolean }).reached,
    (error: RemoteError) => error.remoteCode,
  );
}
/** Dials since the last look, other than to the helper. */
function dials(): string[] {
  return internet.dialled.splice(0).filter((one) => one !== '198.18.0.1:4600');
}

afterEach(async () => {
  for (const node of nodes.splice(0)) await node.stop();
});

describe('dial-back', () => {
  it('says whether the node that asks is there', async () => {
    internet = new FakeInternet();
    const to = await helper();
    const from = await asker({ ip: '203.0.113.1', port: 4600, open: [40_000] });
    expect(await from.call(to.contact, OBSERVED_ADDRESS, {})).toEqual({
      address: '203.0.113.1',
      port: 1,
    });
    expect(await ask(from, to, 'https://203.0.113.1:40000')).toBe(true);
    expect(await ask(from, to, 'https://203.0.113.1:40001')).toBe(false);
    expect(new Set(dials())).toEqual(new Set(['203.0.113.1:40000', '203.0.113.1:40001']));
  });

  it('dials nobody but who asks', async () => {
    internet = new FakeInternet();
    const to = await helper({ perPeer: { perSecond: 0, burst: 100 } });
    const from = await asker({ ip: '203.0.113.1', port: 4600, open: [4600] });
    const victim = await asker({ ip: '203.0.113.9', port: 4600, open: [4600] });
    dials();
    for (const address of [
      'https://203.0.113.9:4600',
      `https://203.0.113.9:4600/${victim.identity.nodeId}`,
      'https://203.0.113.2:4600',
      'https://victim.example.org:4600',
      'https://localhost:4600',
      'https://127.0.0.1:4600',
      'https://[::1]:4600',
      'https://0.0.0.0:4600',
      'https://169.254.169.254:443',
      'https://[::ffff:203.0.113.9]:4600',
      'https://203.0.113.1.nip.example:4600',
    ]) {
      expect(await ask(from, to, address), address).toBe('KAD_BAD_PARAMETERS');
    }
    for (const junk of [undefined, null, 7, {}, [], '', 'x'.repeat(10_000), 'ftp://203.0.113.1']) {
      expect(await ask(from, to, junk)).toMatch(/^KAD_BAD_/);
    }
    expect(await ask(from, to, 'https://203.0.113.1:25')).toBe('KAD_BAD_PARAMETERS');
    expect(dials()).toEqual([]);
  });

  it('is not moved by an asker that claims to come from this machine', async () => {
    internet = new FakeInternet();
    const to = await helper();
    for (const ip of ['127.0.0.1', '169.254.169.254', '::1', '0.0.0.0']) {
      const from = await asker({ ip, port: 4600, open: [4600] });
      dials();
      const address = formatAddress({ host: ip, port: 4600 });
      expect(await ask(from, to, address), ip).toBe('KAD_BAD_PARAMETERS');
      expect(dials()).toEqual([]);
    }
  });

  it('expects the very node that asked', async () => {
    internet = new FakeInternet();
    const to = await helper();
    // Two nodes behind one address: one asks for the port of the other.
    const from = await asker({ ip: '203.0.113.1', port: 1111, open: [1111] });
    await asker({ ip: '203.0.113.1', port: 2222, open: [2222] });
    expect(await ask(from, to, 'https://203.0.113.1:2222')).toBe(false);
    expect(await ask(from, to, 'https://203.0.113.1:1111')).toBe(true);
  });

  it('is limited for a peer, for a network, and in all', async () => {
    internet = new FakeInternet();
    const slow = { perSecond: 0, burst: 3 };
    const first = await helper({ perPeer: slow });
    const from = await asker({ ip: '203.0.113.1', port: 4600, open: [4600] });
    const answers: unknown[] = [];
    for (let i = 0; i < 5; i += 1) answers.push(await ask(from, first, 'https://203.0.113.1:4600'));
    expect(answers).toEqual([true, true, true, 'KAD_BUSY', 'KAD_BUSY']);
    await first.stop();

    // New identities of one network share what their network has.
    const second = await helper({ perGroup: slow });
    const sybils: unknown[] = [];
    for (let i = 1; i <= 5; i += 1) {
      const sybil = await asker({ ip: `203.0.99.${i}`, port: 4600, open: [4600] });
      sybils.push(await ask(sybil, second, `https://203.0.99.${i}:4600`));
    }
    expect(sybils).toEqual([true, true, true, 'KAD_BUSY', 'KAD_BUSY']);
    await second.stop();

    const third = await helper({ total: slow });
    const all: unknown[] = [];
    for (let i = 1; i <= 5; i += 1) {
      const other = await asker({ ip: `198.51.${i}.1`, port: 4600, open: [4600] });
      all.push(await ask(other, third, `https://198.51.${i}.1:4600`));
    }
    expect(all).toEqual([true, true, true, 'KAD_BUSY', 'KAD_BUSY']);
  });

  it('dials a peer once at a time', async () => {
    internet = new FakeInternet();
    const to = await helper();
    const from = await asker({ ip: '203.0.113.1', port: 4600, open: [4600] });
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => ask(from, to, 'https://203.0.113.1:4600')),
    );
    expect(answers.filter((one) => one === true)).toHaveLength(1);
    expect(answers.filter((one) => one === 'KAD_BUSY')).toHaveLength(3);
  });
});
