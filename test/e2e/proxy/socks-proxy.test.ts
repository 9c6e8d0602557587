import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LabProcess } from '../nat-lab/index.js';
import { realFile } from '../support/granary.js';
import { Capture } from './capture.js';
import { LabUser } from './lab-user.js';
import { noProxyLab } from './no-proxy-lab.js';
import { ADDRESSES, ProxyLab } from './proxy-lab.js';

const PORT = 1080;
const PROXY = `socks5h://${ADDRESSES.proxy.near.v4}:${PORT}`;
const TO_PROXY = `tcp and host ${ADDRESSES.proxy.near.v4} and port ${PORT}`;
const NAME = 'farm.granary.test';
/** An onion address that nobody has: its key is no point of the curve. */
const ONION = 'pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion';
const BYTES = 300_000;
/** By name, by IPv4 and by IPv6: the proxy is asked for each as it is. */
const FARMERS = [
  { host: NAME, listen: ADDRESSES.far.v4, port: '4601' },
  { host: ADDRESSES.far.v4, listen: ADDRESSES.far.v4, port: '4602' },
  { host: `[${ADDRESSES.far.v6}]`, listen: ADDRESSES.far.v6, port: '4603' },
];

describe.skipIf(noProxyLab !== undefined)(
  `behind a SOCKS5 proxy${noProxyLab ? ` (skipped: ${noProxyLab})` : ''}`,
  () => {
    let directory: string;
    let lab: ProxyLab;
    let proxy: LabProcess;
    let hidden: LabUser;
    let plain: LabUser;
    const bootstrap = ['--bootstrap', `https://${NAME}:4601`];

    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), 'granary-proxy-'));
      lab = await ProxyLab.create({ [NAME]: ADDRESSES.far.v4 });
      proxy = lab.proxy.start('microsocks', ['-i', ADDRESSES.proxy.near.v4, '-p', String(PORT)]);
      hidden = new LabUser(lab.near, join(directory, 'near'), { GRANARY_PROXY: PROXY });
      plain = new LabUser(lab.near, join(directory, 'near'), { GRANARY_PROXY: 'none' });
      const others = new LabUser(lab.far, join(directory, 'far'));
      for (const [i, { host, listen, port }] of FARMERS.entries()) {
        await others.farm(
          ...[`farmer-${i}`, '--host', listen, '--port', port],
          ...['--announce', `https://${host}:${port}`],
          // Names are known to the proxy's machine only.
          ...(i === 0 ? [] : ['--bootstrap', `https://${ADDRESSES.far.v4}:4601`]),
        );
      }
    });
    afterAll(async () => {
      await lab?.close();
      if (directory !== undefined) await rm(directory, { recursive: true, force: true });
    });

    it('sees what goes another way when there is no proxy', async () => {
      const capture = await Capture.start(lab.near, join(directory, 'plain.pcap'));
      for (const address of [NAME, ADDRESSES.far.v4, `[${ADDRESSES.far.v6}]`]) {
        const { code } = await plain.granary('dht', 'ping', `https://${address}:4601`);
        expect(code).toBe(6);
      }
      await capture.stop();
      const seen = async (filter: string) => (await capture.packets(filter)).length;
      expect(await seen(`udp port 53 and host ${ADDRESSES.nameServer}`)).toBeGreaterThan(0);
      expect(await seen(`tcp and dst host ${ADDRESSES.far.v4}`)).toBeGreaterThan(0);
      expect(await seen(`ip6 and tcp and dst host ${ADDRESSES.far.v6}`)).toBeGreaterThan(0);
      expect(await seen(TO_PROXY)).toBe(0);
    });

    it('stores, reads, farms, traces and ends, and not one packet goes elsewhere', async () => {
      const content = await realFile(join(directory, 'file'), BYTES);
      const capture = await Capture.start(lab.near, join(directory, 'hidden.pcap'));

      const farmer = await hidden.farm(
        ...['hidden-farmer', '--port', '4600', '--announce', `https://${ONION}:4600`],
        ...bootstrap,
      );
      expect(farmer.output()).toContain(`"address":"https://${ONION}:4600"`);
      await hidden.must('init', ...bootstrap, '--proxy', PROXY);
      await hidden.must('put', join(directory, 'file'), 'file', '--scheme', '2/2/3/3');
      await hidden.must('get', 'file', join(directory, 'copy'));
      expect(await readFile(join(directory, 'copy'))).toEqual(content);
      await hidden.must('status', '--json');
      const key = '5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03';
      const trace = await hidden.must('dht', 'trace', key, '--json');
      for (const { host } of FARMERS) expect(trace).toContain(host);
      // The others can't reach an onion address, and keep no contact that they can't reach.
      expect(trace).not.toContain(ONION);
      await hidden.must('dht', 'ping', `https://[${ADDRESSES.far.v6}]:4603`);
      await hidden.must('rm', 'file');

      // What goes wrong goes wrong in the proxy.
      const failing = [
        ['dht', 'ping', 'https://nobody.granary.test:4600'],
        ['dht', 'ping', `https://${ADDRESSES.far.v4}:9`],
        ['dht', 'ping', `https://[${ADDRESSES.far.v6}]:9`],
        ['wallet', '--rpc', 'http://chain.granary.test:8545', '--contract', `0x${'1'.repeat(40)}`],
      ];
      for (const args of failing) expect(await hidden.granary(...args)).toMatchObject({ code: 6 });
      const own = await hidden.granary('dht', 'ping', 'https://127.0.0.1:4600');
      expect(own).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('this machine') as string,
      });

      await farmer.stop('SIGTERM');
      expect(farmer.child.exitCode).toBe(0);

      // Without its proxy it does nothing, rather than anything else.
      expect(proxy.output()).toContain(`connected to ${NAME}:4601`);
      expect(proxy.output()).toContain('connected to chain.granary.test');
      await proxy.stop();
      const without = await hidden.granary('put', join(directory, 'file'), 'again');
      expect(without).toMatchObject({ code: 6, stderr: expect.stringContaining(PROXY) as string });

      await capture.stop();
      expect((await capture.packets(TO_PROXY)).length).toBeGreaterThan(200);
      expect(await capture.packets(`not (${TO_PROXY})`)).toEqual([]);
    });
  },
);
