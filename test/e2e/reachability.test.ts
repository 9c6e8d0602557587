import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Home, type LabHost, type LabProcess, NatLab, noLab } from './nat-lab/index.js';
import { setUpAnewForRetries } from './support/anew.js';
import { GRANARY } from './support/granary.js';

/** What `granary farm --json` says of its reachability. */
interface Told {
  readonly state: string;
  readonly announced: string[];
  readonly mapping: { protocol: string; externalPort: number } | null;
  readonly checks: { address: string; reached: number; failed: number; verdict: string }[];
}

/** The part of `granary doctor --json` that is looked at. */
interface Diagnosis {
  readonly nat: string;
  readonly ports: string;
  readonly reachable: boolean;
  readonly observed: string[];
  readonly trials: { protocol: string; mapping?: object; error?: object }[];
  readonly advice: string[];
}

const PUBLIC = 3;
const WAIT_MS = 120_000;

describe.skipIf(noLab !== undefined)(`reachability${noLab ? ` (skipped: ${noLab})` : ''}`, () => {
  let lab: NatLab;
  let directory: string;
  let seed: string;
  const open: LabHost[] = [];
  let mapped: Home;
  let plain: Home;
  let double: Home;
  const hosts: Record<string, LabHost> = {};

  const granary = (...args: string[]): [string, string[]] => [process.execPath, [GRANARY, ...args]];
  const env = () => ({ GRANARY_HOME: join(directory, 'home'), GRANARY_BOOTSTRAP: seed });

  function farm(host: LabHost, ...args: string[]): LabProcess {
    const data = ['--data', join(directory, host.name), '--space', '1GB', '--json'];
    // Tunnels have tests of their own; here it is about what a node can do without them.
    const alone = ['--tunnels', 'never', '--offer-tunnel', 'never'];
    const command = granary('farm', ...data, '--host', '0.0.0.0', ...alone, ...args);
    return host.start(...command, { env: args.includes('--announce') ? {} : env() });
  }

  /** The last that a farmer told which is as it should be. */
  async function told(process: LabProcess, right: (told: Told) => boolean): Promise<Told> {
    const until = Date.now() + WAIT_MS;
    for (;;) {
      const last = process
        .output()
        .split('\n')
        .filter((line) => line.includes('"event":"reachability"'))
        .map((line) => JSON.parse(line) as Told)
        .at(-1);
      if (last !== undefined && right(last)) return last;
      if (Date.now() > until || process.child.exitCode !== null) {
        throw new Error(`the farmer never told that. It said:\n${process.output()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  /** Whether a public host gets an answer of a node at an address. */
  async function answers(address: string): Promise<boolean> {
    const { code } = await open[0]!.run(...granary('dht', 'ping', address), { env: env() });
    return code === 0;
  }

  async function doctor(host: LabHost): Promise<Diagnosis> {
    const output = await host.must(...granary('doctor', '--json'), {
      env: env(),
      timeoutMs: 110_000,
    });
    return JSON.parse(output) as Diagnosis;
  }

  const setUp = async () => {
    open.length = 0;
    directory = await mkdtemp(join(tmpdir(), 'granary-reach-'));
    lab = await NatLab.create();
    for (let i = 0; i < PUBLIC; i += 1) open.push(await lab.addPublic(`open-${i}`));
    seed = `https://${open[0]!.address}:4600`;
    mapped = await lab.addHome('mapped', { mapping: true });
    plain = await lab.addHome('plain');
    double = await lab.addHome(
      'double',
      { mapping: true },
      await lab.addHome('outer', { ports: 'random' }),
    );
    hosts['mapped'] = await mapped.addHost('in-mapped');
    hosts['plain'] = await plain.addHost('in-plain');
    hosts['double'] = await double.addHost('in-double');
    // The first says where it is; the others find it out.
    const first = farm(open[0]!, '--port', '4600', '--announce', seed);
    await first.printed(/"ready"/, WAIT_MS);
    const others = open.slice(1).map((host) => farm(host, '--port', '4600'));
    for (const other of others) await told(other, ({ state }) => state === 'public');
  };
  const tearDown = async () => {
    await lab?.close();
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  };
  setUpAnewForRetries(setUp, tearDown, 240_000);

  it('announces the port that the router maps, once others got through it, and gives it back', async () => {
    const farmer = farm(hosts['mapped']!);
    // Helpers that a busy machine keeps from answering in time are asked again.
    const enough = ({ state, checks }: Told) =>
      state === 'public' && checks.some(({ reached }) => reached >= 2);
    const { announced, mapping } = await told(farmer, enough);
    expect(announced).toEqual([`https://${mapped.outside}:${mapping!.externalPort}`]);
    expect(await answers(announced[0]!)).toBe(true);
    expect(await farmer.stop('SIGINT')).toBe(0);
    expect(await mapped.mappings()).toEqual([]);
    expect(await answers(announced[0]!)).toBe(false);
  });

  it.each(['plain', 'double'])('announces nothing that nobody can reach (%s)', async (kind) => {
    const farmer = farm(hosts[kind]!);
    const { announced, checks, mapping } = await told(
      farmer,
      (one) =>
        one.state === 'private' && one.checks.every(({ verdict }) => verdict === 'unreachable'),
    );
    expect(announced).toEqual([]);
    expect(mapping).toBe(null);
    expect(checks.length).toBeGreaterThan(0);
    expect(checks.every(({ reached }) => reached === 0)).toBe(true);
    expect(await farmer.stop('SIGINT')).toBe(0);
  });

  it('notices that the network is another, and announces the new address', async () => {
    const host = await mapped.addHost('moving');
    const farmer = farm(host);
    const before = await told(farmer, ({ state }) => state === 'public');
    const moved = `${mapped.prefix}.250`;
    await host.ip('addr', 'del', `${host.address}/24`, 'dev', 'eth0');
    await host.ip('addr', 'add', `${moved}/24`, 'dev', 'eth0');
    await host.ip('route', 'replace', 'default', 'via', mapped.gateway);
    const after = await told(
      farmer,
      ({ state, announced }) => state === 'public' && announced[0] !== before.announced[0],
    );
    expect(await answers(after.announced[0]!)).toBe(true);
    expect(await mapped.mappings()).toContainEqual(
      expect.objectContaining({ host: moved, external: after.mapping!.externalPort }),
    );
    await farmer.stop('SIGINT');
  });

  it('takes no port of the router and asks nobody when it is told not to', async () => {
    const host = hosts['mapped']!;
    const address = `https://${host.address}:4777`;
    const args = ['--port', '4777', '--dial-back', 'never', '--announce', address];
    const farmer = farm(host, ...args, '--bootstrap', seed);
    await farmer.printed(/"ready"/, WAIT_MS);
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    expect(farmer.output()).not.toContain('"event":"reachability"');
    expect(farmer.output()).toContain(`"address":"${address}"`);
    expect((await mapped.mappings()).filter((one) => one.host === host.address)).toEqual([]);
    await farmer.stop('SIGINT');
  });

  it('is explained by the doctor', async () => {
    const inOpen = await doctor(open[1]!);
    expect(inOpen).toMatchObject({ nat: 'none', ports: 'kept', reachable: true });
    expect(inOpen.observed).toEqual([open[1]!.address]);

    const inMapped = await doctor(hosts['mapped']!);
    expect(inMapped).toMatchObject({ nat: 'one', ports: 'kept', reachable: true });
    expect(inMapped.trials.map(({ mapping }) => mapping !== undefined)).toEqual([true, true, true]);

    const inPlain = await doctor(hosts['plain']!);
    expect(inPlain).toMatchObject({ nat: 'some', ports: 'kept', reachable: false });
    expect(inPlain.advice[0]).toMatch(/UPnP, NAT-PMP or PCP/);

    const inDouble = await doctor(hosts['double']!);
    expect(inDouble).toMatchObject({ nat: 'some', ports: 'different', reachable: false });
    // Nothing of what was tried is left.
    for (const { address } of [hosts['mapped']!, hosts['double']!]) {
      for (const home of [mapped, double]) {
        expect((await home.mappings()).filter(({ host }) => host === address)).toEqual([]);
      }
    }
  });

  it('is explained by the doctor in plain words', async () => {
    const said = await hosts['plain']!.must(...granary('doctor'), {
      env: env(),
      timeoutMs: 110_000,
    });
    expect(said).toMatch(/Others can't reach this machine/);
    expect(said).toMatch(
      /What you can do:\n- Turn on port mapping in the router \(http:\/\/192\.168\./,
    );
  });
});
