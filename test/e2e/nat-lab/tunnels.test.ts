import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadIdentity, systemClock } from '@granary/kad';
import { LmdbRows, PaymentBook, summarise } from '@granary/payments';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LabUser } from '../proxy/lab-user.js';
import { GRANARY } from '../support/granary.js';
import { type LabHost, type LabProcess, NatLab, noLab } from './index.js';

const PORT = '4600';
/** A unit is a thousand bytes, and the credit is for 24 MB. */
const PRICE = '1000000';
const CREDIT = 24_000;
/** As much as takes some seconds to fetch through a tunnel that is told to be slow. */
const SIZE = 24 * 1024 * 1024;

interface Row {
  readonly peer: string;
  readonly tunnel: string;
  readonly promised: string;
}

async function rowsOf(path: string): Promise<Row[]> {
  const book = new PaymentBook(LmdbRows.open(path), systemClock);
  const rows = summarise(book, Date.now());
  await book.close();
  return rows;
}

describe.skipIf(noLab !== undefined)(`tunnels${noLab ? ` (skipped: ${noLab})` : ''}`, () => {
  let lab: NatLab;
  let directory: string;
  const hidden: { name: string; user: LabUser; farmer: LabProcess }[] = [];
  const tunnels: { name: string; host: LabHost; process: LabProcess; nodeId: string }[] = [];
  let renter: LabUser;
  /** The address from which the renter comes. */
  let outside: string;
  let bootstrap: string;
  let dear: (typeof tunnels)[number];

  async function startTunnel(host: LabHost, name: string, price: string) {
    const process = host.start(globalThis.process.execPath, [
      ...[GRANARY, 'tunnel', '--json', '--data', join(directory, name)],
      ...['--host', host.address, '--port', PORT],
      ...['--tunnel-rate', '4MiB', '--tunnel-clients', '1'],
      ...['--tunnel-price', price, '--credit', String(CREDIT)],
      ...(name === 'seed' ? [] : ['--bootstrap', bootstrap]),
    ]);
    const [, nodeId = ''] = await process.printed(/"event":"ready","nodeId":"([0-9a-f]+)"/, 60_000);
    return { name, host, process, nodeId };
  }

  function startFarmer(user: LabUser, name: string) {
    return user.farm(
      'farm',
      ...['--host', '0.0.0.0', '--port', PORT, '--bootstrap', bootstrap],
      ...['--operator', name, '--max-tunnel-price', PRICE],
    );
  }

  beforeAll(async () => {
    lab = await NatLab.create();
    directory = await mkdtemp(join(tmpdir(), 'granary-tunnels-'));
    const seed = await lab.addPublic('seed');
    bootstrap = `https://${seed.address}:${PORT}`;
    // Two for each farmer and one to spare. One client each, since a k-bucket takes two of a network.
    tunnels.push(await startTunnel(seed, 'seed', PRICE));
    const others: [LabHost, string, string][] = [];
    for (const name of ['second', 'third', 'fourth', 'fifth', 'sixth', 'seventh']) {
      others.push([await lab.addPublic(name), name, PRICE]);
    }
    // And one that asks for more than the farmers pay.
    others.push([await lab.addPublic('dear'), 'dear', `${PRICE}0`]);
    tunnels.push(...(await Promise.all(others.map((one) => startTunnel(...one)))));
    dear = tunnels.pop()!;
    const homes = {
      plain: await lab.addHome('plain'),
      symmetric: await lab.addHome('symmetric', { ports: 'random' }),
      double: await lab.addHome('double', {}, await lab.addHome('carrier', { ports: 'random' })),
    };
    for (const [name, home] of Object.entries(homes)) {
      const user = new LabUser(await home.addHost(`${name}-farmer`), join(directory, name));
      hidden.push({ name, user, farmer: await startFarmer(user, name) });
    }
    const home = await lab.addHome('renter', { ports: 'random' });
    outside = home.outside;
    const host = await home.addHost('renter-pc');
    renter = new LabUser(host, join(directory, 'renter'));
    await renter.must('init', '--bootstrap', bootstrap);
  });
  afterAll(async () => {
    await lab?.close();
    await rm(directory, { recursive: true, force: true });
  });

  it('make farmers behind every kind of NAT reachable, each through two', async () => {
    for (const { farmer } of hidden) {
      await farmer.printed(/"event":"tunnels","through":\[\{[^\]]*\},\{/, 120_000);
    }
  });

  it('carry an object to farmers of which none can be reached, and back', async () => {
    const file = join(directory, 'object');
    await writeFile(file, randomBytes(SIZE));
    await renter.must('put', file, '--scheme', '1/2/2/3');
    const copy = join(directory, 'copy');
    await rm(copy, { force: true });
    await renter.must('get', 'object', copy);
    expect((await readFile(copy)).equals(await readFile(file))).toBe(true);
  });

  it('may be killed in the middle of a transfer: it goes on', async () => {
    await reviveTunnels();
    const copy = join(directory, 'second-copy');
    await rm(copy, { force: true });
    const get = renter.granary('get', 'object', copy, '--json');
    let over = false;
    void get.then(() => (over = true));
    const killed = await carrying(() => over);
    expect(killed, 'a tunnel that carries the transfer').not.toBe(undefined);
    await killed!.process.stop('SIGKILL');
    expect(over).toBe(false);
    const { code, stderr } = await get;
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect((await readFile(copy)).equals(await readFile(join(directory, 'object')))).toBe(true);
  });

  it('are replaced within seconds when they die', async () => {
    const dead = tunnels.find(({ process }) => process.child.signalCode !== null);
    expect(dead).not.toBe(undefined);
    for (const { name, farmer } of hidden) {
      const through = () =>
        [...farmer.output().matchAll(/"event":"tunnels","through":(\[[^\]]*\])/g)].at(-1)?.[1] ??
        '';
      await expect
        .poll(through, { timeout: 120_000, message: name })
        .toSatisfy((text: string) => /\},\{/.test(text) && !text.includes(dead!.nodeId));
    }
  });

  it('are paid by those they carry for, whoever is killed, and the dear one by nobody', async () => {
    await Promise.all(hidden.map(({ farmer }) => farmer.stop('SIGKILL')));
    await Promise.all([
      reviveTunnels(),
      ...hidden.map(async (one) => (one.farmer = await startFarmer(one.user, one.name))),
    ]);
    // What was owed before is paid at the start. Not paid yet is what has come since, or less than a unit.
    await expect.poll(differences, { timeout: 120_000 }).toEqual([]);
    let units = 0;
    const owed = async () => {
      const found: string[] = [];
      units = 0;
      for (const { name } of hidden) {
        for (const { tunnel, promised, peer } of await accounts('costs', join(name, 'farm'))) {
          expect(peer).not.toBe(dear.nodeId);
          if (Number(tunnel) - Number(promised) >= CREDIT / 4) found.push(`${name}: ${peer}`);
          units += Number(promised);
        }
      }
      return found;
    };
    await expect.poll(owed, { timeout: 120_000, interval: 500 }).toEqual([]);
    // The object went to two of three, and came back twice from one.
    expect(units).toBeGreaterThan((3 * SIZE) / 1000);
  });

  it('carry no more than the credit for a client that signs for nothing', async () => {
    const client = new URL('../support/unpaying-client.mjs', import.meta.url).pathname;
    const at = `https://${dear.host.address}:${PORT}`;
    const take = async () =>
      JSON.parse(
        await renter.host.must(process.execPath, [client, dear.nodeId, at, directory]),
      ) as { received: number };
    const limit = (CREDIT / Number(`${PRICE}0`)) * 1e9;
    const first = await take();
    expect(first.received).toBeLessThanOrEqual(limit);
    expect(first.received).toBeGreaterThan(limit / 2);
    // Its name is remembered, also by a tunnel that was killed.
    await dear.process.stop('SIGKILL');
    dear = await startTunnel(dear.host, 'dear', `${PRICE}0`);
    expect((await take()).received + first.received).toBeLessThanOrEqual(limit);
    expect(await accounts('earnings', 'dear')).toEqual([]);
  });

  /** Start the tunnels again that were killed. */
  async function reviveTunnels(): Promise<void> {
    const dead = tunnels.filter(({ process }) => process.child.signalCode !== null);
    await Promise.all(
      dead.map(async (tunnel) =>
        Object.assign(tunnel, await startTunnel(tunnel.host, tunnel.name, PRICE)),
      ),
    );
  }

  /** What a command says of a node's accounts. */
  async function accounts(command: 'costs' | 'earnings', name: string): Promise<Row[]> {
    const text = await renter.must(command, '--json', '--data', join(directory, name));
    return (JSON.parse(text) as { accounts: Row[] }).accounts;
  }

  /**
   * Where the books of both sides do not go together; read as they are, while the nodes run. A receipt may
   * have been lost with who was killed: it goes out again when the two meet again.
   */
  async function differences(): Promise<string[]> {
    const found: string[] = [];
    const earned = new Map<string, Row>();
    for (const { name, nodeId } of tunnels) {
      const rows = await rowsOf(join(directory, name, 'payments.lmdb'));
      for (const row of rows) earned.set(`${nodeId}/${row.peer}`, row);
    }
    for (const { name } of hidden) {
      const { nodeId } = await loadIdentity(join(directory, name, 'farm', 'identity.json'));
      for (const { peer, tunnel, promised } of await rowsOf(
        join(directory, name, 'farm', 'costs.lmdb'),
      )) {
        const key = `${peer}/${nodeId}`;
        const row = earned.get(key);
        earned.delete(key);
        // The client writes first, both what it signs for and what it pays. A farmer that was killed may have
        // taken other tunnels, so that the two do not meet again.
        const short = (mine: unknown, theirs: unknown) => Number(mine) - Number(theirs ?? 0);
        const lost = [short(tunnel, row?.tunnel), short(promised, row?.promised)];
        if (lost.every((amount) => amount >= 0 && amount < CREDIT / 4)) continue;
        found.push(`${key}: ${tunnel}, ${promised} and ${row?.tunnel}, ${row?.promised}`);
      }
    }
    return [...found, ...earned.keys()];
  }

  /** A tunnel with a connection from the renter's home to one of its clients that moves bytes. */
  async function carrying(over: () => boolean): Promise<(typeof tunnels)[number] | undefined> {
    while (!over()) {
      const sent = await Promise.all(
        tunnels.map(async ({ host }) => {
          const args = ['-Htni', 'state', 'established', 'dst', outside, 'sport', '>=', ':21000'];
          const seen = await host.must('ss', args);
          return [...seen.matchAll(/bytes_sent:(\d+)/g)].map(([, bytes]) => Number(bytes));
        }),
      );
      const found = sent.findIndex((bytes) => Math.max(0, ...bytes) > 1024 * 1024);
      if (found !== -1) return tunnels[found];
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return undefined;
  }
});
