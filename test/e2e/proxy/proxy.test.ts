import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { LabProcess } from '../nat-lab/index.js';
import { setUpAnewForRetries } from '../support/anew.js';
import { realFile } from '../support/granary.js';
import { Capture } from './capture.js';
import { LabUser } from './lab-user.js';
import { noProxyLab } from './no-proxy-lab.js';
import { ADDRESSES, ProxyLab } from './proxy-lab.js';
import { type TorClient, TorNetwork } from './tor-network.js';

const BYTES = 300_000;
const TOR_MS = 200_000;
const skipped = noProxyLab === undefined ? '' : ` (skipped: ${noProxyLab})`;

const PORT = 1080;
const PROXY = `socks5h://${ADDRESSES.proxy.near.v4}:${PORT}`;
const TO_PROXY = `tcp and host ${ADDRESSES.proxy.near.v4} and port ${PORT}`;
const NAME = 'farm.granary.test';
const CHAIN = 'chain.granary.test';
const KEY = '5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03';
/** An onion address that nobody has: its key is no point of the curve. */
const ONION = 'pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion';
/** By name, by IPv4 and by IPv6: the proxy is asked for each as it is. */
const FARMERS = [
  { host: NAME, listen: ADDRESSES.far.v4, port: '4601' },
  { host: ADDRESSES.far.v4, listen: ADDRESSES.far.v4, port: '4602' },
  { host: `[${ADDRESSES.far.v6}]`, listen: ADDRESSES.far.v6, port: '4603' },
];

/** Two people who each have a Tor of their own, on the proxy's machine. */
const renterTor: TorClient = { name: 'renterTor', socks: `${ADDRESSES.proxy.near.v4}:9050` };
const FARM_PORTS = [4601, 4602];
const farmerTor: TorClient = {
  name: 'farmerTor',
  socks: `${ADDRESSES.proxy.far.v4}:9050`,
  services: FARM_PORTS.map((port) => `${ADDRESSES.far.v4}:${port}`),
};

let directory: string;
let content: Buffer;
/** A Tor network takes half a minute to agree on itself, meanwhile the first tests run. */
let torLab: Promise<{ lab: ProxyLab; onions: string[] }> | undefined;

async function startTor(): Promise<{ lab: ProxyLab; onions: string[] }> {
  const lab = await ProxyLab.create();
  try {
    const clients = [renterTor, farmerTor];
    const tor = await TorNetwork.start(lab.proxy, join(directory, 'tor'), clients, TOR_MS);
    return { lab, onions: await tor.onions(farmerTor) };
  } catch (error) {
    await lab.close();
    throw error;
  }
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'granary-proxy-'));
  if (noProxyLab !== undefined) return;
  content = await realFile(join(directory, 'file'), BYTES);
  torLab = startTor();
  // Who waits for it is told.
  torLab.catch(() => undefined);
});
afterAll(async () => {
  await torLab?.then(
    ({ lab }) => lab.close(),
    () => undefined,
  );
  if (directory !== undefined) await rm(directory, { recursive: true, force: true, maxRetries: 5 });
}, TOR_MS);

describe.skipIf(noProxyLab !== undefined)(`behind a SOCKS5 proxy${skipped}`, () => {
  let lab: ProxyLab;
  let proxy: LabProcess;
  let hidden: LabUser;
  let plain: LabUser;
  const bootstrap = ['--bootstrap', `https://${NAME}:4601`];

  const setUp = async () => {
    lab = await ProxyLab.create({ [NAME]: ADDRESSES.far.v4, [CHAIN]: ADDRESSES.far.v4 });
    const here = await mkdtemp(join(directory, 'socks-'));
    proxy = lab.proxy.start('microsocks', ['-i', ADDRESSES.proxy.near.v4, '-p', String(PORT)]);
    hidden = new LabUser(lab.near, join(here, 'near'), { GRANARY_PROXY: PROXY });
    plain = new LabUser(lab.near, join(here, 'near'), { GRANARY_PROXY: 'none' });
    const others = new LabUser(lab.far, join(here, 'far'));
    const start = (i: number, ...known: string[]) => {
      const { host, listen, port } = FARMERS[i]!;
      const announce = `https://${host}:${port}`;
      const where = ['--host', listen, '--port', port, '--announce', announce];
      return others.farm(`farmer-${i}`, ...where, ...known);
    };
    await start(0);
    // Names are known to the proxy's machine only.
    const known = ['--bootstrap', `https://${ADDRESSES.far.v4}:4601`];
    await Promise.all([start(1, ...known), start(2, ...known)]);
  };
  setUpAnewForRetries(setUp, async () => lab?.close());

  it('sees what goes another way when there is no proxy', async () => {
    const capture = await Capture.start(lab.near, join(directory, 'plain.pcap'));
    const addresses = FARMERS.map(({ host, port }) => ['--bootstrap', `https://${host}:${port}`]);
    const { code } = await plain.granary('dht', 'lookup', KEY, ...addresses.flat());
    expect(code).toBe(6);
    await capture.stop();
    const seen = async (filter: string) => (await capture.packets(filter)).length;
    expect(await seen(`udp port 53 and host ${ADDRESSES.nameServer}`)).toBeGreaterThan(0);
    expect(await seen(`tcp and dst host ${ADDRESSES.far.v4}`)).toBeGreaterThan(0);
    expect(await seen(`ip6 and tcp and dst host ${ADDRESSES.far.v6}`)).toBeGreaterThan(0);
    expect(await seen(TO_PROXY)).toBe(0);
  });

  it('stores, reads, farms, traces and ends, and not one packet goes elsewhere', async () => {
    const capture = await Capture.start(lab.near, join(directory, 'hidden.pcap'));

    const farmer = await hidden.farm(
      ...['hidden-farmer', '--port', '4600', '--announce', `https://${ONION}:4600`],
      ...bootstrap,
    );
    expect(farmer.output()).toContain(`"address":"https://${ONION}:4600"`);
    await hidden.must('init', ...bootstrap, '--proxy', PROXY);
    await hidden.must('put', join(directory, 'file'), 'file', '--scheme', '2/2/3/3');
    await hidden.must('get', 'file', join(directory, 'copy'), '--force');
    expect(await readFile(join(directory, 'copy'))).toEqual(content);
    const trace = await hidden.must('dht', 'trace', KEY, '--json');
    for (const { host } of FARMERS) expect(trace).toContain(host);
    // The others can't reach an onion address, and keep no contact that they can't reach.
    expect(trace).not.toContain(ONION);
    await hidden.must('rm', 'file');

    // What goes wrong goes wrong in the proxy.
    const dead = ['nobody.granary.test:4600', `${ADDRESSES.far.v4}:9`, `[${ADDRESSES.far.v6}]:9`];
    const bootstraps = dead.flatMap((address) => ['--bootstrap', `https://${address}`]);
    expect(await hidden.granary('dht', 'lookup', KEY, ...bootstraps)).toMatchObject({ code: 6 });
    // The node of a chain is asked through it as well; this one is a farmer that speaks no HTTP.
    const chain = ['--rpc', `http://${CHAIN}:4601`, '--contract', `0x${'1'.repeat(40)}`];
    expect(await hidden.granary('wallet', ...chain)).toMatchObject({ code: 6 });

    await farmer.stop('SIGTERM');
    expect(farmer.child.exitCode).toBe(0);

    // Without its proxy it does nothing, rather than anything else.
    expect(proxy.output()).toContain(`connected to ${NAME}:4601`);
    expect(proxy.output()).toContain(`connected to ${CHAIN}:4601`);
    await proxy.stop();
    const without = await hidden.granary('put', join(directory, 'file'), 'again');
    expect(without).toMatchObject({ code: 6, stderr: expect.stringContaining(PROXY) as string });

    await capture.stop();
    expect((await capture.packets(TO_PROXY)).length).toBeGreaterThan(200);
    expect(await capture.packets(`not (${TO_PROXY})`)).toEqual([]);
  });
});

describe.skipIf(noProxyLab !== undefined)(`over Tor${skipped}`, () => {
  it(
    'stores to onion services and reads back, and neither side shows itself',
    async () => {
      const { lab, onions } = await torLab!;
      // The Tor network stays when this is tried again.
      const here = await mkdtemp(join(directory, 'onions-'));
      const near = await Capture.start(lab.near, join(here, 'near.pcap'));
      const far = await Capture.start(lab.far, join(here, 'far.pcap'));
      const farmers = new LabUser(lab.far, join(here, 'farmers'), {
        GRANARY_PROXY: `socks5h://${farmerTor.socks}`,
      });
      const renter = new LabUser(lab.near, join(here, 'renter'), {
        GRANARY_PROXY: `socks5h://${renterTor.socks}`,
      });
      const [first, second] = onions.map((onion) => `https://${onion}:4600`) as [string, string];
      const one = await farmers.farm(
        ...['one', '--host', ADDRESSES.far.v4, '--port', '4601', '--announce', first],
      );
      onTestFinished(async () => void (await one.stop('SIGKILL')));
      const two = await farmers.farm(
        ...['two', '--host', ADDRESSES.far.v4, '--port', '4602', '--announce', second],
        ...['--bootstrap', first],
      );
      onTestFinished(async () => void (await two.stop('SIGKILL')));

      await renter.must('init', '--bootstrap', first);
      // A put that is done has a shard with each of the two.
      // Tor itself may not have told everybody yet where the onion services are.
      const put = ['put', join(directory, 'file'), 'file', '--scheme', '1/2/2/2'];
      const tried = async () => {
        const { code, stderr } = await renter.granary(...put);
        return code === 0 ? 'stored' : stderr;
      };
      await expect.poll(tried, { timeout: 120_000, interval: 1000 }).toBe('stored');
      await renter.must('get', 'file', join(here, 'copy-over-tor'));
      expect(await readFile(join(here, 'copy-over-tor'))).toEqual(content);
      await renter.must('rm', 'file');
      await two.stop('SIGTERM');
      expect(two.child.exitCode).toBe(0);

      await near.stop();
      await far.stop();
      const toRenterTor = `tcp and host ${ADDRESSES.proxy.near.v4} and port 9050`;
      expect((await near.packets(toRenterTor)).length).toBeGreaterThan(100);
      expect(await near.packets(`not (${toRenterTor})`)).toEqual([]);
      // Farmers ask through their Tor, and answer what it brings.
      const asked = `tcp and host ${ADDRESSES.proxy.far.v4} and port 9050`;
      const brought = FARM_PORTS.map(
        (port) =>
          `(src ${ADDRESSES.proxy.far.v4} and dst port ${port}) or (dst ${ADDRESSES.proxy.far.v4} and src port ${port})`,
      );
      expect(
        await far.packets(`not (${[asked, ...brought].map((f) => `(${f})`).join(' or ')})`),
      ).toEqual([]);
    },
    2 * TOR_MS,
  );
});
