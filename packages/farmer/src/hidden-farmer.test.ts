import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type Dialer, Identity, KadError, signContact, silentLogger } from '@granary/kad';
import { DIAL_BACK, OBSERVED_ADDRESS } from '@granary/nat';
import { FARMER_TERMS_METHOD } from '@granary/protocol';
import { Farmer, type FarmerOptions } from './farmer.js';

const ONION = 'pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion';
let directory: string;
const farmers: Farmer[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'granary-hidden-'));
});
afterEach(async () => {
  await Promise.all(farmers.splice(0).map((farmer) => farmer.stop()));
  await rm(directory, { recursive: true, force: true });
});

async function open(name: string, change: Partial<FarmerOptions> = {}): Promise<Farmer> {
  const farmer = await Farmer.open({
    directory: join(directory, name),
    identity: Identity.generate(),
    host: '127.0.0.1',
    port: 0,
    bootstrap: [],
    quotaBytes: 1_000_000,
    logger: silentLogger,
    ...change,
  });
  farmers.push(farmer);
  return farmer;
}

/** Leads everything to one port of this machine, as an onion service would. */
function hidingDialer(port: () => number): Dialer {
  return {
    direct: false,
    slackMs: 0,
    dials: () => true,
    dial: async () => connect(port(), '127.0.0.1'),
  };
}

it('asks nobody how it is reached, and tells nobody where they come from, behind a proxy', async () => {
  const asked: string[] = [];
  const looking: NonNullable<FarmerOptions['reachability']> = {
    mapping: {
      file: join(directory, 'port-mappings.json'),
      findGateway: () => {
        asked.push('the router');
        return Promise.resolve(undefined);
      },
    },
    look: () => {
      asked.push('the network');
      return Promise.resolve('');
    },
  };
  // The same settings do look when nothing hides the farmer.
  const plain = await open('plain', { reachability: looking });
  await vi.waitFor(() => expect(new Set(asked)).toEqual(new Set(['the network', 'the router'])));
  await plain.stop();
  asked.length = 0;

  let port = 0;
  const announce = [`https://${ONION}:4600`];
  const dialer = hidingDialer(() => port);
  const hidden = await open('hidden', { dialer, announce, reachability: looking });
  port = hidden.stats().port!;
  expect(hidden.contact.addresses).toEqual(announce);
  expect(hidden.reachability).toBeUndefined();

  const asker = await open('asker', { dialer: hidingDialer(() => port), announce: [] });
  const terms = await asker.node.call(hidden.contact, FARMER_TERMS_METHOD, {});
  expect(terms).toMatchObject({ version: 1 });
  for (const method of [OBSERVED_ADDRESS, DIAL_BACK]) {
    await expect(asker.node.call(hidden.contact, method, {})).rejects.toMatchObject({
      remoteCode: 'KAD_METHOD_NOT_FOUND',
    });
  }
  expect(asked).toEqual([]);
});

it('announces nothing behind a proxy unless it is told to', async () => {
  const browsers = { host: '127.0.0.1', port: 0, webrtc: true };
  const plain = await open('plain', { browsers });
  expect(plain.contact.addresses.map((address) => address.split(':')[0])).toEqual([
    'https',
    'ws',
    'webrtc',
  ]);
  const hidden = await open('hidden', { dialer: hidingDialer(() => 1), browsers });
  expect(hidden.contact.addresses).toEqual([]);
  expect(hidden.browserAddresses).toEqual([]);
});

it('does not take its contacts for dead when the proxy is', async () => {
  let port = 0;
  let down = false;
  const dialer: Dialer = {
    ...hidingDialer(() => port),
    dial: async () => {
      if (down) throw new KadError('KAD_PROXY', 'the proxy is down');
      return connect(port, '127.0.0.1');
    },
  };
  const other = await open('other');
  port = other.stats().port!;
  const hidden = await open('hidden', { dialer, announce: [] });
  const contact = await hidden.node.resolve(`https://${ONION}:4600`);
  expect(hidden.node.contacts()).toHaveLength(1);
  down = true;
  const moved = signContact(Identity.generate(), {
    addresses: [`https://${ONION}:1`],
    sequence: 1,
  });
  await expect(hidden.node.ping(moved)).rejects.toMatchObject({ code: 'KAD_PROXY' });
  expect(hidden.node.contacts().map(({ nodeId }) => nodeId)).toEqual([contact.nodeId]);
});
