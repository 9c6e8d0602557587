import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LabUser } from '../proxy/lab-user.js';
import { type LabHost, type LabProcess, NatLab, noLab } from './index.js';

const PORT = '4600';
/** As much as takes some seconds to fetch through a tunnel that is told to be slow. */
const SIZE = 24 * 1024 * 1024;

describe.skipIf(noLab !== undefined)(`tunnels${noLab ? ` (skipped: ${noLab})` : ''}`, () => {
  let lab: NatLab;
  let directory: string;
  const hidden: { name: string; farmer: LabProcess }[] = [];
  const tunnels: { host: LabHost; process: LabProcess; nodeId: string }[] = [];
  let renter: LabUser;
  /** The address from which the renter comes. */
  let outside: string;

  beforeAll(async () => {
    lab = await NatLab.create();
    directory = await mkdtemp(join(tmpdir(), 'granary-tunnels-'));
    const seed = await lab.addPublic('seed');
    const bootstrap = `https://${seed.address}:${PORT}`;
    // Two for each farmer and one to spare. One client each, since a k-bucket takes two of a network.
    for (const name of ['seed', 'second', 'third', 'fourth', 'fifth', 'sixth', 'seventh']) {
      const host = name === 'seed' ? seed : await lab.addPublic(name);
      const args = [
        ...['--host', host.address, '--port', PORT],
        ...['--tunnel-rate', '4MiB', '--tunnel-clients', '1'],
      ];
      const process = host.start(globalThis.process.execPath, [
        ...[new URL('../../../packages/cli/bin/granary.mjs', import.meta.url).pathname],
        ...['tunnel', '--json', '--data', join(directory, name), ...args],
        ...(name === 'seed' ? [] : ['--bootstrap', bootstrap]),
      ]);
      const [, nodeId = ''] = await process.printed(/"event":"ready","nodeId":"([0-9a-f]+)"/);
      tunnels.push({ host, process, nodeId });
    }
    const homes = {
      plain: await lab.addHome('plain'),
      symmetric: await lab.addHome('symmetric', { ports: 'random' }),
      double: await lab.addHome('double', {}, await lab.addHome('carrier', { ports: 'random' })),
    };
    for (const [name, home] of Object.entries(homes)) {
      const user = new LabUser(await home.addHost(`${name}-farmer`), join(directory, name));
      const farmer = await user.farm(
        'farm',
        ...['--host', '0.0.0.0', '--port', PORT, '--bootstrap', bootstrap],
        ...['--operator', name],
      );
      hidden.push({ name, farmer });
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
      await farmer.printed(/"event":"tunnels","through":\[\{[^\]]*\},\{/, 60_000);
    }
  });

  it('carry an object to farmers of which none can be reached, and back', async () => {
    const file = join(directory, 'object');
    await writeFile(file, randomBytes(SIZE));
    await renter.must('put', file, '--scheme', '1/2/2/3');
    const copy = join(directory, 'copy');
    await renter.must('get', 'object', copy);
    expect((await readFile(copy)).equals(await readFile(file))).toBe(true);
  });

  it('may be killed in the middle of a transfer: it goes on', async () => {
    const copy = join(directory, 'second-copy');
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
        .poll(through, { timeout: 30_000, message: name })
        .toSatisfy((text: string) => /\},\{/.test(text) && !text.includes(dead!.nodeId));
    }
  });

  /** A tunnel with a connection from the renter's home to one of its clients that moves bytes. */
  async function carrying(over: () => boolean): Promise<(typeof tunnels)[number] | undefined> {
    while (!over()) {
      for (const tunnel of tunnels) {
        const args = ['-Htni', 'state', 'established', 'dst', outside, 'sport', '>=', ':21000'];
        const seen = await tunnel.host.must('ss', args);
        const sent = [...seen.matchAll(/bytes_sent:(\d+)/g)].map(([, bytes]) => Number(bytes));
        if (Math.max(0, ...sent) > 1024 * 1024) return tunnel;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return undefined;
  }
});
