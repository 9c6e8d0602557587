import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isRetry } from '../support/anew.js';
import { type LabHost, NatLab, noLab } from './index.js';

const NODE = new URL('../support/reach-node.mjs', import.meta.url).pathname;
const BYTES = 16 * 1024 * 1024;

interface Measure {
  readonly connectMs: number;
  readonly mibPerSecond: number;
}

/** One side of the lab: a host, and the node that serves there. */
interface Place {
  readonly name: string;
  readonly host: LabHost;
  /** The address that others see. */
  readonly outside: string;
  nodeId: string;
}

/** How one place got bytes from another. */
interface Row extends Measure {
  readonly from: string;
  readonly to: string;
  readonly path: 'direct' | 'mapped' | 'punched' | 'tunnelled';
}

describe.skipIf(noLab !== undefined)(`paths${noLab ? ` (skipped: ${noLab})` : ''}`, () => {
  let lab: NatLab;
  let directory: string;
  let bootstrap: string;
  let places: Place[];
  const tunnels: string[] = [];
  const rows: Row[] = [];
  /** Why there was no direct connection, by the two places. */
  const notPunched = new Map<string, string>();
  const row = (from: string, to: string) => rows.find((one) => one.from === from && one.to === to);

  beforeAll(async () => {
    lab = await NatLab.create();
    directory = await mkdtemp(join(tmpdir(), 'granary-paths-'));
    const serve = (host: LabHost, ...args: string[]) =>
      host.start(process.execPath, [NODE, 'serve', '0.0.0.0', '4600', ...args]);
    const seed = await lab.addPublic('seed');
    bootstrap = `https://${seed.address}:4600`;
    const publics = [seed, await lab.addPublic('second'), await lab.addPublic('third')];
    const started = publics.map((host, i) =>
      serve(host, i === 0 ? '-' : bootstrap, i < 2 ? 'tunnel' : 'node', '-'),
    );
    tunnels.push(publics[0]!.address, publics[1]!.address);
    for (const one of started) await one.printed(/"event":"reachable"/, 120_000);
    const homes = {
      mapped: await lab.addHome('mapped', { mapping: true }),
      plain: await lab.addHome('plain'),
      other: await lab.addHome('other'),
      symmetric: await lab.addHome('symmetric', { ports: 'random' }),
      double: await lab.addHome('double', {}, await lab.addHome('carrier')),
    };
    places = [{ name: 'public', host: publics[2]!, outside: publics[2]!.address, nodeId: '' }];
    for (const [name, home] of Object.entries(homes)) {
      places.push({
        name,
        host: await home.addHost(`${name}-pc`),
        outside: home.outside,
        nodeId: '',
      });
    }
    const served = places.map(({ name, host }) =>
      name === 'public'
        ? started[2]!
        : serve(host, bootstrap, 'node', join(directory, `${name}.json`)),
    );
    for (const [i, one] of served.entries()) {
      await one.printed(/"event":"reachable"/, 120_000);
      places[i]!.nodeId = (await one.printed(/"ready","nodeId":"([0-9a-f]{64})"/))[1]!;
    }
  }, 240_000);
  afterAll(async () => {
    await lab?.close();
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  });

  /** Fetch from some places, and note how it went. */
  async function measure(from: Place, others: readonly Place[]): Promise<void> {
    const ids = others.map(({ nodeId }) => nodeId);
    const args = [NODE, 'fetch', bootstrap, String(BYTES), ...ids];
    const out = await from.host.must(process.execPath, args, { timeoutMs: 300_000 });
    for (const line of out.trim().split('\n')) {
      const said = JSON.parse(line) as {
        event: string;
        nodeId: string;
        address: string;
        error?: string;
        dialled: Measure;
        punched: Measure | { error: string };
      };
      if (said.event === 'done') continue;
      const to = others.find(({ nodeId }) => nodeId === said.nodeId)!;
      expect(said.error, `from ${from.name} to ${to.name}`).toBe(undefined);
      const host = new URL(said.address).hostname;
      const pair = { from: from.name, to: to.name };
      if (!tunnels.includes(host)) {
        rows.push({ ...pair, path: to.name === 'public' ? 'direct' : 'mapped', ...said.dialled });
        continue;
      }
      rows.push({ ...pair, path: 'tunnelled', ...said.dialled });
      if ('error' in said.punched) notPunched.set(`${from.name} ${to.name}`, said.punched.error);
      else rows.push({ ...pair, path: 'punched', ...said.punched });
    }
  }

  it('lead from every place to every other', async () => {
    rows.length = 0;
    for (const from of places) {
      await measure(
        from,
        places.filter((place) => place !== from),
      );
    }
    expect(new Set(rows.map(({ from, to }) => `${from} ${to}`)).size).toBe(30);
    show(rows);
  }, 900_000);

  it('are direct where a router maps a port', () => {
    for (const from of ['public', 'plain', 'symmetric', 'double']) {
      expect(row(from, 'mapped')?.path, from).toBe('mapped');
    }
  });

  it('are punched between routers that keep ports, and only there', async ({ task }) => {
    const punched = (from: string, to: string) =>
      rows.some((one) => one.from === from && one.to === to && one.path === 'punched');
    for (const [from, to] of [
      ['plain', 'other'],
      ['other', 'plain'],
      ['plain', 'double'],
      ['double', 'plain'],
      ['public', 'plain'],
    ] as const) {
      const place = (name: string) => places.find((one) => one.name === name)!;
      if (isRetry(task) && !punched(from, to)) await measure(place(from), [place(to)]);
      const why = notPunched.get(`${from} ${to}`);
      expect(punched(from, to), `from ${from} to ${to}: ${why}`).toBe(true);
    }
    for (const { name } of places) {
      expect(punched(name, 'symmetric'), `from ${name} to symmetric`).toBe(false);
      expect(punched('symmetric', name), `from symmetric to ${name}`).toBe(false);
    }
  });
});

/** The table of docs/nat.md. Throughput is set beside that of the direct ways from the same place. */
function show(rows: readonly Row[]): void {
  const base = (from: string) =>
    Math.max(
      ...rows
        .filter((one) => one.from === from && ['direct', 'mapped'].includes(one.path))
        .map(({ mibPerSecond }) => mibPerSecond),
    );
  const lines = rows.map(
    ({ from, to, path, connectMs, mibPerSecond }) =>
      `| ${from} | ${to} | ${path} | ${connectMs.toFixed(0)} | ${mibPerSecond.toFixed(0)} | ${(mibPerSecond / base(from)).toFixed(2)} |`,
  );
  const head = [
    '| from | to | path | connect, ms | MiB/s | to direct |',
    '| - | - | - | -: | -: | -: |',
  ];
  console.log([...head, ...lines].join('\n'));
}
