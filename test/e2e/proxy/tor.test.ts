import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { realFile } from '../support/granary.js';
import { Capture } from './capture.js';
import { LabUser } from './lab-user.js';
import { noProxyLab } from './no-proxy-lab.js';
import { ADDRESSES, ProxyLab } from './proxy-lab.js';
import { TorNetwork } from './tor-network.js';

const SOCKS_PORT = 9050;
const BYTES = 300_000;
const FARM_PORTS = [4601, 4602];
const TOR_READY_MS = 150_000;

/** Two people who each have a Tor of their own, on the proxy's machine. */
const renterTor = { name: 'renter-tor', socks: `${ADDRESSES.proxy.near.v4}:${SOCKS_PORT}` };
const farmerTor = {
  name: 'farmer-tor',
  socks: `${ADDRESSES.proxy.far.v4}:${SOCKS_PORT}`,
  services: FARM_PORTS.map((port) => `${ADDRESSES.far.v4}:${port}`),
};

describe.skipIf(noProxyLab !== undefined)(
  `over Tor${noProxyLab ? ` (skipped: ${noProxyLab})` : ''}`,
  () => {
    let directory: string;
    let lab: ProxyLab;
    let tor: TorNetwork;
    let onions: string[];

    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), 'granary-tor-'));
      lab = await ProxyLab.create();
      tor = await TorNetwork.start(lab.proxy, join(directory, 'tor'), [renterTor, farmerTor]);
      onions = await tor.onions(farmerTor);
      await tor.ready(TOR_READY_MS);
    }, TOR_READY_MS + 60_000);
    afterAll(async () => {
      await lab?.close();
      if (directory !== undefined) await rm(directory, { recursive: true, force: true });
    });

    it('stores to farmers that are onion services, and reads back, and neither side shows itself', async () => {
      const content = await realFile(join(directory, 'file'), BYTES);
      const near = await Capture.start(lab.near, join(directory, 'near.pcap'));
      const far = await Capture.start(lab.far, join(directory, 'far.pcap'));
      const farmers = new LabUser(lab.far, join(directory, 'farmers'), {
        GRANARY_PROXY: `socks5h://${farmerTor.socks}`,
      });
      const renter = new LabUser(lab.near, join(directory, 'renter'), {
        GRANARY_PROXY: `socks5h://${renterTor.socks}`,
      });
      const [first, second] = onions.map((onion) => `https://${onion}:4600`) as [string, string];
      await farmers.farm(
        ...['one', '--host', ADDRESSES.far.v4, '--port', '4601', '--announce', first],
      );
      const two = await farmers.farm(
        ...['two', '--host', ADDRESSES.far.v4, '--port', '4602', '--announce', second],
        ...['--bootstrap', first],
      );

      await renter.must('init', '--bootstrap', first);
      await renter.must('put', join(directory, 'file'), 'file', '--scheme', '1/2/2/2');
      await renter.must('get', 'file', join(directory, 'copy'));
      expect(await readFile(join(directory, 'copy'))).toEqual(content);
      const stat = await renter.must('stat', 'file', '--json');
      for (const address of [first, second]) expect(stat).toContain(address);
      await renter.must('rm', 'file');
      await two.stop('SIGTERM');
      expect(two.child.exitCode).toBe(0);

      await near.stop();
      await far.stop();
      const toRenterTor = `tcp and host ${ADDRESSES.proxy.near.v4} and port ${SOCKS_PORT}`;
      expect((await near.packets(toRenterTor)).length).toBeGreaterThan(100);
      expect(await near.packets(`not (${toRenterTor})`)).toEqual([]);
      // Farmers ask through their Tor, and answer what it brings.
      const asked = `tcp and host ${ADDRESSES.proxy.far.v4} and port ${SOCKS_PORT}`;
      const brought = FARM_PORTS.map(
        (port) =>
          `(src ${ADDRESSES.proxy.far.v4} and dst port ${port}) or (dst ${ADDRESSES.proxy.far.v4} and src port ${port})`,
      );
      expect(
        await far.packets(`not (${[asked, ...brought].map((f) => `(${f})`).join(' or ')})`),
      ).toEqual([]);
    });
  },
);
