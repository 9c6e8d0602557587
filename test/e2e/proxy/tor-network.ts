import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type LabHost, type LabProcess, must, run } from '../nat-lab/index.js';
import { until } from '../support/granary.js';

const AUTHORITIES = ['auth1', 'auth2', 'auth3'] as const;
const RELAYS = ['relay1', 'relay2', 'relay3'] as const;

/** A client of the network: somebody's own Tor. */
export interface TorClient {
  /** Letters and digits. */
  readonly name: string;
  /** Where it takes SOCKS5: `ADDRESS:PORT`. */
  readonly socks: string;
  /** Onion services: what their port 4600 leads to. */
  readonly services?: readonly string[];
}

/**
 * A Tor network of its own on the loopback interface of one machine, of Debian's `tor`: three
 * directory authorities, three relays, and clients. It knows no other network.
 */
export class TorNetwork {
  private readonly processes = new Map<string, LabProcess>();
  private authorities = '';

  private constructor(
    private readonly host: LabHost,
    private readonly directory: string,
    private readonly clients: readonly TorClient[],
  ) {}

  /** Start all of it, and wait until every client can build circuits. */
  static async start(
    host: LabHost,
    directory: string,
    clients: readonly TorClient[],
    timeoutMs: number,
  ): Promise<TorNetwork> {
    const network = new TorNetwork(host, directory, clients);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const lines = await Promise.all(AUTHORITIES.map((name, i) => network.makeAuthority(name, i)));
    network.authorities = lines.join('\n');
    await Promise.all([
      ...AUTHORITIES.map((name, i) =>
        network.run(name, [
          'AuthoritativeDirectory 1',
          'V3AuthoritativeDirectory 1',
          'V3AuthVotingInterval 10',
          'V3AuthVoteDelay 2',
          'V3AuthDistDelay 2',
          'ContactInfo nobody@example.org',
          'Address 127.0.0.1',
          'SocksPort 0',
          `ORPort ${orPort(i)}`,
          `DirPort ${dirPort(i)}`,
          'ExitPolicy reject *:*',
        ]),
      ),
      ...RELAYS.map((name, i) =>
        network.run(name, [
          'Address 127.0.0.1',
          'SocksPort 0',
          `ORPort ${orPort(AUTHORITIES.length + i)}`,
          // Tor builds no circuits in a network without exits.
          'ExitRelay 1',
          'ExitPolicyRejectPrivate 0',
          'ExitPolicy accept 127.0.0.0/8:*',
        ]),
      ),
    ]);
    await network.haveConsensus(timeoutMs);
    await network.startClients(timeoutMs);
    return network;
  }

  /** The names of a client's onion services, in their order. */
  async onions({ name, services = [] }: TorClient): Promise<string[]> {
    return Promise.all(
      services.map(async (_, i) =>
        (await readFile(join(this.directory, name, `service${i}`, 'hostname'), 'utf8')).trim(),
      ),
    );
  }

  /** Wait until the authorities have agreed on all routers. */
  private haveConsensus(timeoutMs: number): Promise<void> {
    const [name] = AUTHORITIES;
    return this.untilFile(name, 'cached-microdesc-consensus', timeoutMs, (text) => {
      const routers = text.match(/^r /gm)?.length ?? 0;
      return routers === AUTHORITIES.length + RELAYS.length;
    });
  }

  /**
   * Start the clients. They come last: one that finds no consensus waits longer and longer before it
   * asks again.
   */
  private async startClients(timeoutMs: number): Promise<void> {
    await Promise.all(
      this.clients.map(async ({ name, socks, services = [] }) => {
        await this.run(name, [
          `SocksPort ${socks}`,
          ...services.flatMap((target, i) => [
            `HiddenServiceDir ${join(this.directory, name, `service${i}`)}`,
            `HiddenServicePort 4600 ${target}`,
          ]),
        ]);
        await this.untilFile(name, 'log', timeoutMs, (text) => text.includes('Bootstrapped 100%'));
      }),
    );
  }

  /** Wait until a file of a daemon is as it should be. @throws Error when the daemon ends. */
  private untilFile(
    name: string,
    file: string,
    timeoutMs: number,
    check: (text: string) => boolean,
  ): Promise<void> {
    return until(
      `${file} of ${name} tells that it is ready`,
      async () => {
        const process = this.processes.get(name)!;
        if (process.child.exitCode !== null) throw new Error(`it has ended: ${process.output()}`);
        return check(await readFile(join(this.directory, name, file), 'utf8').catch(() => ''));
      },
      timeoutMs,
    );
  }

  private async makeAuthority(name: string, index: number): Promise<string> {
    const data = join(this.directory, name);
    const keys = join(data, 'keys');
    await mkdir(keys, { recursive: true, mode: 0o700 });
    await must(
      'tor-gencert',
      [
        ...['--create-identity-key', '--passphrase-fd', '0', '-m', '12'],
        ...['-a', `127.0.0.1:${dirPort(index)}`],
        ...['-i', join(keys, 'authority_identity_key')],
        ...['-s', join(keys, 'authority_signing_key')],
        ...['-c', join(keys, 'authority_certificate')],
      ],
      { input: 'of no use to anybody\n', timeoutMs: 60_000 },
    );
    const certificate = await readFile(join(keys, 'authority_certificate'), 'utf8');
    const identity = /^fingerprint ([0-9A-F]{40})$/m.exec(certificate)?.[1];
    const { stdout } = await run(
      'tor',
      [
        ...['--ignore-missing-torrc', '-f', join(data, 'none'), '--list-fingerprint', '--quiet'],
        ...['--orport', '1', '--datadirectory', data, '--nickname', name],
        ...['--dirauthority', `none 127.0.0.1:1 ${'f'.repeat(40)}`],
      ],
      { timeoutMs: 60_000 },
    );
    const fingerprint = /((?:[0-9A-F]{4} ?){10})\s*$/.exec(stdout)?.[1]?.replaceAll(' ', '');
    if (identity === undefined || fingerprint === undefined) {
      throw new Error(`no keys for a Tor authority: ${stdout}`);
    }
    const address = `127.0.0.1:${dirPort(index)} ${fingerprint}`;
    return `DirAuthority ${name} orport=${orPort(index)} no-v2 v3ident=${identity} ${address}`;
  }

  private async run(name: string, settings: readonly string[]): Promise<void> {
    const data = join(this.directory, name);
    await mkdir(data, { recursive: true, mode: 0o700 });
    const file = join(data, 'torrc');
    await writeFile(
      file,
      [
        'TestingTorNetwork 1',
        'TestingDirAuthVoteExit *',
        'TestingDirAuthVoteGuard *',
        'TestingDirAuthVoteHSDir *',
        'TestingMinExitFlagThreshold 0',
        'TestingV3AuthInitialVotingInterval 5',
        'TestingV3AuthInitialVoteDelay 2',
        'TestingV3AuthInitialDistDelay 2',
        'TestingClientDownloadInitialDelay 0',
        'V3AuthNIntervalsValid 2',
        'PathsNeededToBuildCircuits 0.67',
        'AssumeReachable 1',
        'AddressDisableIPv6 1',
        'ShutdownWaitLength 0',
        `Nickname ${name}`,
        `DataDirectory ${data}`,
        `Log notice file ${join(data, 'log')}`,
        this.authorities,
        ...settings,
        '',
      ].join('\n'),
    );
    // Without these it would read the machine's own configuration as well.
    const process = this.host.start('tor', [
      '--defaults-torrc',
      '/dev/null',
      '-f',
      file,
      '--quiet',
    ]);
    this.processes.set(name, process);
  }
}

const orPort = (index: number) => 5001 + index;
const dirPort = (index: number) => 7001 + index;
