import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Mapping } from '@granary/nat';
import { describe, expect, it } from 'vitest';
import { type Home, type LabHost, type LabProcess, NatLab, noLab } from './nat-lab/index.js';
import { setUpAnewForRetries } from './support/anew.js';
import { until } from './support/granary.js';

const MAPPER = new URL('./support/port-mapper.mjs', import.meta.url).pathname;
const GREETER = `require('node:net').createServer((socket) => socket.on('error', () => {}).end('hello'))
  .listen(4600, '0.0.0.0', () => console.log('listening'))`;
const CALLER = `const socket = require('node:net').connect(Number(process.argv[2]), process.argv[1]);
  socket.setTimeout(Number(process.argv[3]), () => { console.log('silent'); process.exit(); });
  socket.on('error', (error) => { console.log(error.code); process.exit(); });
  socket.on('data', (data) => console.log(data.toString())).on('end', () => process.exit())`;

describe.skipIf(noLab !== undefined)(`port mapping${noLab ? ` (skipped: ${noLab})` : ''}`, () => {
  let lab: NatLab;
  let outside: LabHost;
  let home: Home;
  let host: LabHost;
  let directory: string;

  const setUp = async () => {
    directory = await mkdtemp(join(tmpdir(), 'granary-mapping-'));
    lab = await NatLab.create();
    outside = await lab.addPublic('outside');
    home = await lab.addHome('home', { mapping: true });
    host = await home.addHost('host');
    await host.start(process.execPath, ['-e', GREETER]).printed(/listening/);
  };
  const tearDown = async () => {
    await lab?.close();
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  };
  setUpAnewForRetries(setUp, tearDown);

  const start = (on: LabHost, file: string, ...more: string[]) =>
    on.start(process.execPath, [MAPPER, join(directory, file), '4600', ...more]);
  /** What a caller hears. @param patience - for how many milliseconds it waits for that */
  const call = async (address: string, port: number, patience = 30_000) => {
    const args = ['-e', CALLER, address, String(port), String(patience)];
    return (await outside.must(process.execPath, args)).trim();
  };

  /** The mapping that a process has told last. */
  async function mapped(mapper: LabProcess): Promise<Mapping> {
    await mapper.printed(/"started"/, 60_000);
    const lines = mapper
      .output()
      .split('\n')
      .filter((line) => line.includes('"mapping":{'));
    expect(lines, mapper.output()).not.toEqual([]);
    return (JSON.parse(lines.at(-1)!) as { mapping: Mapping }).mapping;
  }

  it.each(['pcp', 'nat-pmp', 'upnp'])('lets others in by %s, until it ends', async (protocol) => {
    const mapper = start(host, `${protocol}.json`, protocol);
    const { externalPort, externalAddress, lifetimeSeconds } = await mapped(mapper);
    expect(externalAddress).toBe(home.outside);
    expect(lifetimeSeconds).toBeGreaterThan(0);
    expect(await home.mappings()).toEqual([
      { external: externalPort, host: host.address, port: 4600 },
    ]);
    expect(await call(home.outside, externalPort)).toBe('hello');
    expect(await mapper.stop()).toBe(0);
    expect(await home.mappings()).toEqual([]);
    expect(await call(home.outside, externalPort, 2_000)).toBe('silent');
  });

  it('speaks to a router of IGD version 1 that has no NAT-PMP', async () => {
    const old = await lab.addHome('old', { mapping: { igdV1: true, natpmp: false } });
    const inside = await old.addHost('inside');
    const mapper = start(inside, 'old.json');
    expect((await mapped(mapper)).protocol).toBe('upnp');
    expect(await old.mappings()).toHaveLength(1);
    await mapper.stop();
    expect(await old.mappings()).toEqual([]);
  });

  it('says which protocols a router without any does not speak', async () => {
    const plain = await lab.addHome('plain');
    const mapper = start(await plain.addHost('inside'), 'plain.json');
    const [line] = await mapper.printed(/.*"started".*/, 60_000);
    const { attempts } = JSON.parse(line) as { attempts: { error: { code: string } }[] };
    expect(attempts.map(({ error }) => error.code)).toEqual(Array(3).fill('NAT_NO_ANSWER'));
    await mapper.stop();
  });

  it.each(['pcp', 'nat-pmp', 'upnp'])(
    'uses again what a crash left, by %s, and removes it in the end',
    async (protocol) => {
      const file = `crash-${protocol}.json`;
      const first = start(host, file, protocol);
      const before = await mapped(first);
      await first.stop('SIGKILL');
      expect(await home.mappings()).toHaveLength(1);
      const second = start(host, file, protocol);
      expect((await mapped(second)).externalPort).toBe(before.externalPort);
      expect(await home.mappings()).toHaveLength(1);
      await second.stop();
      expect(await home.mappings()).toEqual([]);
      const left = JSON.parse(await readFile(join(directory, file), 'utf8')) as object;
      expect(left).toEqual({ version: 1, mappings: [] });
    },
  );

  it('asks again when the router has forgotten', async () => {
    const mapper = start(host, 'restart.json');
    await mapped(mapper);
    await home.stopMapper();
    expect(await home.mappings()).toEqual([]);
    await home.startMapper();
    // As when a check finds that nobody gets through, or the network has changed.
    process.kill(mapper.pid, 'SIGUSR2');
    await until('the port is mapped again', async () => (await home.mappings()).length > 0);
    expect(await home.mappings()).toHaveLength(1);
    await mapper.stop();
  });

  it('gives two hosts of one home a port each', async () => {
    const other = await home.addHost('other');
    const [one, two] = [start(host, 'one.json', 'upnp'), start(other, 'two.json', 'upnp')];
    const ports = [(await mapped(one)).externalPort, (await mapped(two)).externalPort];
    expect(new Set(ports).size).toBe(2);
    expect(await home.mappings()).toHaveLength(2);
    await one.stop();
    expect(await home.mappings()).toMatchObject([{ external: ports[1], host: other.address }]);
    await two.stop();
  });
});
