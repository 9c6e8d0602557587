import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type LabHost, type LabProcess, must, run } from '../nat-lab/index.js';
import { until } from '../support/granary.js';

const AUTHORITIES = ['auth1', 'auth2', 'auth3'] as const;
const RELAYS = ['relay1', 'relay2', 'relay3'] as const;

/** A client of the network: somebody's own Tor. */
export interface TorClient {
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

  /** Start all of it. It is of use only once `ready` has resolved. */
  static async start(
    host: LabHost,
    directory: string,
    clients: readonly TorClient[],
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
          'V3AuthVotingInterval 20',
          'V3AuthVoteDelay 4',
          'V3AuthDistDelay 4',
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
      ...clients.map(({ name, socks, services = [] }) =>
        network.run(name, [
          `SocksPort ${socks}`,
          ...services.flatMap((target, i) => [
            `HiddenServiceDir ${join(directory, name, `service${i}`)}`,
            `HiddenServicePort 4600 ${target}`,
          ]),
        ]),
      ),
    ]);
    return network;
  }

  /** Wait until every client can build circuits. */
  async ready(timeoutMs: number): Promise<void> {
    for (const { name } of this.clients) {
      const log = join(this.directory, name, 'log');
      const process = this.processes.get(name)!;
      await until(
        `${name} has joined the Tor network`,
        async () => {
          if (process.child.exitCode !== null) throw new Error(`tor ended: ${process.output()}`);
          return /Bootstrapped 100%/.test(await readFile(log, 'utf8').catch(() => ''));
        },
        timeoutMs,
      );
    }
  }

  /** The names of a client's onion services, in their order. They are there before `ready`. */
  async onions({ name, services = [] }: TorClient): Promise<string[]> {
    const files = services.map((_, i) => join(this.directory, name, `service${i}`, 'hostname'));
    await until('onion services have names', async () => {
      const found = await Promise.all(files.map((file) => readFile(file).catch(() => undefined)));
      return found.every((text) => text !== undefined);
    });
    return Promise.all(files.map(async (file) => (await readFile(file, 'utf8')).trim()));
  }

  /** The log of a daemon. */
  log(name: string): Promise<string> {
    return readFile(join(this.directory, name, 'log'), 'utf8').catch(() => '');
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
