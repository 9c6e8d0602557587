import { Command, Option } from 'commander';
import type { AddKeyOptions, ChangeKeyOptions, ListKeysOptions } from './commands/access-keys.js';
import type { AccountOptions } from './commands/accounts.js';
import type { AppOptions } from './commands/app.js';
import type { BridgeOptions } from './commands/bridge.js';
import type { RecoverBridgeOptions } from './commands/recover-bridge.js';
import type { AddUserOptions, ChangeUserOptions } from './commands/bridge-users.js';
import type { DoctorOptions } from './commands/doctor.js';
import type { TunnelCommandOptions } from './commands/tunnel.js';
import type { FarmOptions } from './commands/farm.js';
import type { AddGrantOptions } from './commands/grants.js';
import type { IdentityOptions } from './commands/identity.js';
import type { NetworkOptions } from './commands/network.js';
import type { RepairOptions } from './commands/repair.js';
import type { ShareCommandOptions } from './commands/shares.js';
import type { BridgeTargetOptions } from './bridge-client-context.js';
import { CliError } from './cli-error.js';
import type { Context } from './context.js';
import { EXIT_CODES, EXIT_MEANINGS, type ExitName } from './exit-codes.js';
import { table } from './output.js';

/** What a command works with. It is loaded when a command runs: help and version need nothing of it. */
async function contextOf(
  command: Command,
  signal: AbortSignal,
  logLevel?: 'info',
): Promise<Context> {
  const context = await import('./context.js');
  return context.contextOf(command, signal, logLevel);
}

const collect = (value: string, all: string[] | undefined) => [...(all ?? []), value];

/** Options that every command takes. They are declared on each, so that each one's help names them. */
function withCommon(command: Command): Command {
  return command
    .option('--home <dir>', 'keys, store and configuration (GRANARY_HOME; default ~/.granary)')
    .option(
      '--bootstrap <address>',
      'a node to join by, https://HOST:PORT; may be repeated (GRANARY_BOOTSTRAP)',
      collect,
    )
    .option(
      '--proxy <url>',
      'open every connection through a SOCKS5 proxy, socks5h://[USER:PASSWORD@]HOST:PORT, or none (GRANARY_PROXY)',
    )
    .option(
      '--difficulty <bits>',
      'work that the network asks of node identities: leading zero bits (GRANARY_DIFFICULTY)',
    )
    .option('--password-file <file>', 'the password of the keys (or GRANARY_PASSWORD)')
    .option('--json', 'one line of JSON for each result; errors as JSON on stderr')
    .addOption(
      new Option('--log-level <level>', 'structured logs on stderr (GRANARY_LOG_LEVEL)').choices([
        'trace',
        'debug',
        'info',
        'warn',
        'error',
        'silent',
      ]),
    );
}

/** Options of what may be a tunnel. */
function withTunnelBounds(command: Command): void {
  command
    .option('--tunnel-ports <from-to>', 'ports that clients of the tunnel get', '21000-21999')
    .option('--tunnel-clients <n>', 'the most clients of the tunnel; default 32')
    .option('--tunnel-rate <size>', 'bytes a second for each client, both ways; default 8MiB')
    .option('--tunnel-total-rate <size>', 'bytes a second for all of them; default 32MiB')
    .option('--tunnel-price <amount>', 'for a GB carried as a tunnel, both ways together', '0');
}

/** Options of commands that get a certificate by themselves. */
function withAcme(command: Command): Command {
  return command
    .option(
      '--acme <name>',
      "get and renew a certificate for a name that leads here, from an authority whose terms you agree to (Let's Encrypt); may be repeated",
      collect,
    )
    .option('--acme-email <address>', 'whom the authority writes to')
    .option('--acme-directory <url>', "another authority's directory (ACME)")
    .option(
      '--acme-listen <host:port>',
      'where the authority is answered: port 80 of the name must lead there; default 0.0.0.0:80',
    );
}

/** Options of commands that serve a dashboard. */
function withDashboard(command: Command): Command {
  return command
    .option(
      '--dashboard <address>',
      'serve the dashboard at PORT of this machine, or at HOST:PORT (GRANARY_DASHBOARD; default any free port)',
    )
    .option('--no-dashboard', 'serve no dashboard (GRANARY_DASHBOARD=off)');
}

/** Options of commands that may speak to a chain. */
function withChain(command: Command): Command {
  return command
    .option('--rpc <url>', 'a node of an EVM chain (GRANARY_RPC; "rpc" in config.json)')
    .option('--chain-id <id>', "the chain's ID: the node is then asked only when it is needed")
    .option('--contract <address>', 'the contract of payment channels (GRANARY_CONTRACT)')
    .option('--token <address>', 'an ERC-20 token, or "native" (GRANARY_TOKEN; default native)');
}

/** Options of commands that open a bridge's metadata. */
function withDatabase(command: Command): Command {
  return command
    .option(
      '--database <place>',
      'an SQLite file or a postgres:// URL (GRANARY_BRIDGE_DATABASE; default HOME/bridge/bridge.db)',
    )
    .option(
      '--master-key-file <file>',
      "64 hex digits that metadata is sealed under (or GRANARY_BRIDGE_MASTER_KEY; default: made from the renter's keys)",
    );
}

/** Options of commands that manage a bridge, over the network or by its database. */
function withBridgeTarget(command: Command): Command {
  return withDatabase(
    command.option(
      '--bridge <url>',
      'ask a bridge that runs (GRANARY_BRIDGE_URL), by the key in GRANARY_BRIDGE_KEY (ID:SECRET) or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; without it, the database is opened',
    ),
  );
}

/** Options that limit a user of a bridge. */
function withUserLimits(command: Command): Command {
  return command
    .option('--quota <size>', 'the most bytes that its buckets hold, or none')
    .option('--max-objects <n>', 'the most objects, or none')
    .option('--max-buckets <n>', 'the most buckets, or none')
    .option('--request-rate <n[/burst]>', 'requests a second, and at once, or none')
    .option('--byte-rate <size[/burst]>', 'bytes a second both ways, and at once, or none');
}

/** Options that say what an access key is good for. */
function withScope(command: Command): Command {
  return command
    .option(
      '--buckets <name>',
      'good in this bucket only, * stands for any; may be repeated',
      collect,
    )
    .option('--prefix <text>', 'good for keys that begin so only; may be repeated', collect)
    .option('--rights <list>', 'of list, read, write, delete, manage, admin; all when not given')
    .option('--expires <time>', 'good for so long, or never')
    .option('--description <text>', 'to tell it from others');
}

function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`;
}

/** The `granary` command. Commands are loaded when they run, so that help is quick. */
export function createProgram(version: string, signal: AbortSignal, json: boolean): Command {
  const program = new Command('granary')
    .description('A decentralised object store: your data, encrypted and spread over farmers.')
    .version(version)
    .showHelpAfterError('(granary COMMAND --help shows how)')
    .exitOverride()
    // With --json the error is written once, as JSON, by whoever catches it.
    .configureOutput(json ? { writeErr: () => undefined } : {})
    .addHelpText(
      'after',
      examples(
        'granary network',
        'granary put photo.jpg',
        'granary get photo.jpg',
        'granary help exit-codes',
      ),
    );
  const add = (name: string, description: string, parent: Command = program) => {
    const command = parent.command(name).description(description);
    command.exitOverride().copyInheritedSettings(parent);
    return withCommon(command);
  };

  add('init', 'make your keys, or restore them from their 24 words')
    .option('--words <words>', 'the 24 words of keys to restore')
    .option('--password', 'protect the keys by a password, asked for on the terminal')
    .addHelpText(
      'after',
      examples(
        'granary init',
        'granary init --bootstrap https://127.0.0.1:4601   # remembered in config.json',
        'granary init --bootstrap https://NAME.onion:4600 --proxy socks5h://127.0.0.1:9050   # over Tor',
        'granary init --password',
        'granary init --home /mnt/new --words "abandon …"',
      ),
    )
    .action(async (options: { words?: string; password?: boolean }, command: Command) => {
      const { init } = await import('./commands/init.js');
      await init(await contextOf(command, signal), options);
    });

  const farmCommand = add('farm', 'rent out disk: run a storage node until Ctrl-C')
    .requiredOption('--data <dir>', 'where shards, contracts and the identity are kept')
    .option('--host <host>', 'address to listen on', '127.0.0.1')
    .option('--port <port>', 'port to listen on; 0 takes any that is free', '0')
    .option('--announce <url>', 'address that others reach this node at; may be repeated', collect)
    .addOption(
      new Option(
        '--port-mapping <when>',
        'ask the router for a port: auto, when it takes one (GRANARY_PORT_MAPPING)',
      ).choices(['auto', 'always', 'never']),
    )
    .addOption(
      new Option(
        '--dial-back <when>',
        'announce only what other nodes could reach; not on loopback (GRANARY_DIAL_BACK)',
      ).choices(['auto', 'never']),
    )
    .addOption(
      new Option(
        '--tunnels <when>',
        "be reached through other nodes: auto, while others can't reach this one (GRANARY_TUNNELS)",
      ).choices(['auto', 'always', 'never']),
    )
    .addOption(
      new Option(
        '--offer-tunnel <when>',
        'be a tunnel for other nodes: auto, at a public address (GRANARY_OFFER_TUNNEL)',
      ).choices(['auto', 'always', 'never']),
    )
    .option(
      '--browser-port <port>',
      'be reached by renters in browsers, too, at this port; 0 takes any that is free',
    )
    .option('--browser-cert <file>', "an authority's certificate for that port, PEM: wss://")
    .option('--browser-key <file>', 'its key, PEM')
    .option(
      '--browser-announce <url>',
      'address that browsers reach it at, wss://HOST:PORT or webrtc://IP:PORT; may be repeated',
      collect,
    )
    .addOption(
      new Option(
        '--webrtc <when>',
        'take data channels of browsers at the UDP port of that number, which needs no certificate',
      )
        .choices(['auto', 'never'])
        .default('auto'),
    )
    .option('--space <size>', 'the most bytes of shards to keep', '10GB')
    .option('--reservation <time>', 'how long a broken-off upload is kept to go on', '1h')
    .option('--operator <name>', 'who runs it: renters spread shards over operators')
    .option('--price <amount>', 'for a GB-month, in the smallest unit', '0')
    .option('--egress-price <amount>', 'for a GB of egress, in the smallest unit', '0')
    .option('--currency <name>', 'what prices are in, when they are settled by ledger', 'credit')
    .option('--credit <amount>', 'what a node may owe; default ten times all prices together')
    .option(
      '--max-tunnel-price <amount>',
      'the most for a GB through a tunnel (GRANARY_MAX_TUNNEL_PRICE; 0: free tunnels)',
    )
    .option('--redeem-at <amount>', 'redeem vouchers on the chain when they are worth so much', '1')
    .option('--block <node-id>', 'a renter to make no contracts with; may be repeated', collect)
    .option('--metrics <address>', 'serve Prometheus metrics over HTTP at HOST:PORT/metrics')
    .option(
      '--app <host:port>',
      'serve the web app besides, which opens share links, too; port 0 takes any',
    )
    .option('--leave', 'take no more shards, and end when renters have taken over those here')
    .option('--stay', 'do not leave after all')
    .addOption(new Option('--with-parent', 'stop when stdin ends').hideHelp())
    .addHelpText(
      'after',
      examples(
        'granary farm --data /srv/granary --host 0.0.0.0 --port 4600 --announce https://farm.example.org:4600 --space 500GB',
        'granary farm --data /srv/granary --host 0.0.0.0 --port 4600   # at home: the router is asked for a port',
        'granary farm --data ./farm --bootstrap https://127.0.0.1:4600',
        'granary farm --data ./farm --proxy socks5h://127.0.0.1:9050 --announce https://NAME.onion:4600   # over Tor',
        'granary farm --data /srv/granary --price 4000 --egress-price 9000   # to be paid, by ledger',
        'granary farm --data /srv/granary --host 0.0.0.0 --port 4600 --browser-port 4601 --browser-cert fullchain.pem --browser-key privkey.pem --browser-announce wss://farm.example.org:4601   # for browsers, too',
        'granary farm --data /srv/granary --host 0.0.0.0 --port 4600 --browser-port 4601 --acme farm.example.org   # and the certificate by itself',
        'granary farm --data /srv/granary --host 0.0.0.0 --max-tunnel-price 500   # behind a router, if need be through a paid tunnel',
        'granary farm --data /srv/granary --leave   # hand the shards over, then end',
      ),
    )
    .action(async (options: FarmOptions, command: Command) => {
      const { farm } = await import('./commands/farm.js');
      await farm(await contextOf(command, signal, 'info'), options);
    });

  withAcme(farmCommand);
  withTunnelBounds(farmCommand);
  withDashboard(farmCommand);

  const tunnelCommand = add(
    'tunnel',
    "take connections for nodes that can't be reached, until Ctrl-C",
  )
    .requiredOption('--data <dir>', 'where the identity is kept')
    .option('--host <host>', 'address to listen on', '0.0.0.0')
    .option('--port <port>', 'port to listen on; 0 takes any that is free', '4600')
    .option('--announce <url>', 'address that others reach this node at; may be repeated', collect)
    .option(
      '--currency <name>',
      'what the price is in, when it is settled by ledger; default credit',
    )
    .option('--credit <amount>', 'what a client may owe; default ten times the price')
    .option('--redeem-at <amount>', 'redeem vouchers on the chain when they are worth so much', '1')
    .option('--metrics <address>', 'serve Prometheus metrics over HTTP at HOST:PORT/metrics')
    .addOption(new Option('--with-parent', 'stop when stdin ends').hideHelp())
    .addHelpText(
      'after',
      examples(
        'granary tunnel --data /srv/tunnel --announce https://tunnel.example.org:4600 --bootstrap https://NODE:4600',
        'granary tunnel --data /srv/tunnel --tunnel-ports 30000-30999   # what the firewall lets in',
        'granary tunnel --data /srv/tunnel --tunnel-clients 200 --tunnel-rate 2MB --tunnel-total-rate 50MB',
        'granary tunnel --data /srv/tunnel --tunnel-price 500   # to be paid, by ledger',
      ),
    )
    .action(async (options: TunnelCommandOptions, command: Command) => {
      const { tunnel } = await import('./commands/tunnel.js');
      await tunnel(await contextOf(command, signal, 'info'), options);
    });
  withTunnelBounds(tunnelCommand);
  withChain(tunnelCommand);

  add(
    'doctor',
    'say how this machine is connected, whether others can reach it, and what can be done',
  )
    .option('--host <host>', 'address to listen on for the check', '0.0.0.0')
    .option('--port <port>', 'port to listen on for the check; 0 takes any that is free', '0')
    .addHelpText(
      'after',
      examples(
        'granary doctor --bootstrap https://farm.example.org:4600',
        'granary doctor --port 4600   # the port that is forwarded by hand; stop the farmer first',
        'granary doctor --json',
      ),
    )
    .action(async (options: DoctorOptions, command: Command) => {
      const { doctor } = await import('./commands/doctor.js');
      await doctor(await contextOf(command, signal), options);
    });

  add('identity', 'make the identity of a node with a proof of work, before its first run')
    .requiredOption('--data <dir>', "the node's directory; identity.json is written there")
    .option('--threads <n>', 'threads to search with; one for each core when not given')
    .option('--show', 'tell the node ID and the proof of work of the identity that is there')
    .addHelpText(
      'after',
      examples(
        'granary identity --data /srv/granary --difficulty 24',
        'granary identity --data /srv/granary --show',
      ),
    )
    .action(async (options: IdentityOptions, command: Command) => {
      const { identity } = await import('./commands/identity.js');
      await identity(await contextOf(command, signal), options);
    });
  withChain(farmCommand);

  add('put', 'store a file')
    .argument('<file>', 'the file, or - for stdin')
    .argument('[object]', 'BUCKET/NAME; default/NAME OF THE FILE when not given')
    .option(
      '--scheme <k/repair/success/n>',
      'redundancy: any K of N shards restore a segment (GRANARY_SCHEME)',
    )
    .option('--duration <time>', 'how long to store it (GRANARY_DURATION)')
    .option('--max-price <amount>', 'the most for a GB-month (GRANARY_MAX_PRICE; 0: free farmers)')
    .option('--max-egress-price <amount>', 'the most for a GB of egress (GRANARY_MAX_EGRESS_PRICE)')
    .addHelpText(
      'after',
      examples(
        'granary put photo.jpg',
        'granary put photo.jpg album/2026/photo.jpg',
        'tar c src | granary put - backups/src.tar',
        'granary put big.iso --scheme 10/14/18/20 --duration 365d',
      ),
    )
    .action(
      async (
        file: string,
        object: string | undefined,
        options: { scheme?: string; duration?: string },
        command: Command,
      ) => {
        const { put } = await import('./commands/objects.js');
        await put(await contextOf(command, signal), file, object, options);
      },
    );

  add('get', 'read an object, or what a share link leads to, into a file')
    .argument('<object>', 'BUCKET/NAME, NAME in the bucket "default", or a share link, in quotes')
    .argument('[file]', 'the file, or - for stdout; the name of the object when not given')
    .option('-o, --output <file>', 'the same as [file]')
    .option('--range <range>', 'only these bytes: FIRST-LAST, FIRST- or -COUNT')
    .option('--force', 'replace the file when it is there')
    .option('--grant <file>', "go by somebody's access grant: its file, or itself (GRANARY_GRANT)")
    .addHelpText(
      'after',
      examples(
        'granary get photo.jpg',
        'granary get album/2026/photo.jpg copy.jpg',
        'granary get backups/src.tar - | tar x',
        'granary get big.iso part --range 0-1048575',
        "granary get 'https://app.example.org/share.html#1.…' -o copy.jpg   # without an account",
        'granary get album/2026/photo.jpg --grant anna.grant',
      ),
    )
    .action(
      async (
        object: string,
        file: string | undefined,
        options: { range?: string; force?: boolean; output?: string; grant?: string },
        command: Command,
      ) => {
        const { getAny } = await import('./commands/shared.js');
        await getAny(await contextOf(command, signal), object, file, options);
      },
    );

  add('cat', 'write an object, or what a share link leads to, to stdout')
    .argument('<object>', 'BUCKET/NAME, NAME in the bucket "default", or a share link, in quotes')
    .option('--range <range>', 'only these bytes: FIRST-LAST, FIRST- or -COUNT')
    .option('--grant <file>', "go by somebody's access grant: its file, or itself (GRANARY_GRANT)")
    .addHelpText('after', examples('granary cat notes.txt', 'granary cat big.log --range -1000'))
    .action(
      async (object: string, options: { range?: string; grant?: string }, command: Command) => {
        const { getAny } = await import('./commands/shared.js');
        await getAny(await contextOf(command, signal), object, '-', options);
      },
    );

  add('share', 'make a link by which anybody can read an object, without an account')
    .argument('<object>', 'BUCKET/NAME, or NAME in the bucket "default"')
    .option('--expires <time>', 'how long the link works, or never', '30d')
    .option('--reads <n>', 'how often every byte may be read before farmers refuse', '1000')
    .option(
      '--base <url>',
      'where the app is, https://HOST/: the link then opens in browsers, too (GRANARY_SHARE_BASE; "shareBase" in config.json)',
    )
    .addHelpText(
      'after',
      examples(
        'granary share album/2026/photo.jpg',
        'granary share photo.jpg --expires 7d --base https://app.example.org/',
        'granary share talk.mp4 --expires never --reads 5000',
        'granary shares',
        'granary unshare 3f2a9c41',
      ),
    )
    .action(async (object: string, options: ShareCommandOptions, command: Command) => {
      const { share } = await import('./commands/shares.js');
      await share(await contextOf(command, signal), object, options);
    });

  add('shares', 'list what is shared')
    .option('--links', 'with their links: whoever sees one can read the object')
    .option('--base <url>', 'where the app is, for the links (GRANARY_SHARE_BASE)')
    .addHelpText('after', examples('granary shares', 'granary shares --links --json'))
    .action(async (options: { links?: boolean; base?: string }, command: Command) => {
      const { shares } = await import('./commands/shares.js');
      await shares(await contextOf(command, signal), options);
    });

  add('unshare', 'take shares back: their links say so, and farmers serve them no more')
    .argument('<ids...>', 'as "granary shares" shows them, or the beginning')
    .addHelpText('after', examples('granary unshare 3f2a9c41'))
    .action(async (ids: string[], _options: unknown, command: Command) => {
      const { unshare } = await import('./commands/shares.js');
      await unshare(await contextOf(command, signal), ids);
    });

  const grants = program
    .command('grants')
    .description('access of others to a bucket or a part of it: add, list, remove');
  grants.exitOverride().copyInheritedSettings(program);
  add('add', 'let whoever has the grant list and read what is there, and what is added', grants)
    .argument('<scope>', 'BUCKET, or BUCKET/PREFIX: all names that begin so')
    .option('--expires <time>', 'how long it works, or never', '30d')
    .option('--reads <n>', 'how often every byte may be read before farmers refuse', '1000')
    .option('-o, --output <file>', 'write it into a new file that only you can read')
    .option(
      '--base <url>',
      'where the app is, https://HOST/: the grant is then a link to sign in by (GRANARY_SHARE_BASE; "shareBase" in config.json)',
    )
    .addHelpText(
      'after',
      examples(
        'granary grants add album/2026/ -o anna.grant',
        'granary grants add album --expires 7d --base https://app.example.org/',
        'granary ls album/2026/ --grant anna.grant   # who has it, anywhere, with no keys and no store',
        'granary get album/2026/photo.jpg --grant anna.grant',
      ),
    )
    .action(async (scope: string, options: AddGrantOptions, command: Command) => {
      const { addGrant } = await import('./commands/grants.js');
      await addGrant(await contextOf(command, signal), scope, options);
    });
  add('list', 'list whom access was granted', grants)
    .option('--links', 'with the grants: whoever sees one can read what it is of')
    .option('--base <url>', 'where the app is, for the links (GRANARY_SHARE_BASE)')
    .addHelpText('after', examples('granary grants list', 'granary grants list --links --json'))
    .action(async (options: { links?: boolean; base?: string }, command: Command) => {
      const { listGrants } = await import('./commands/grants.js');
      await listGrants(await contextOf(command, signal), options);
    });
  add('remove', 'take access back: grants say so, and farmers serve them no more', grants)
    .argument('<ids...>', 'as "granary grants list" shows them, or the beginning')
    .addHelpText('after', examples('granary grants remove 3f2a9c41'))
    .action(async (ids: string[], _options: unknown, command: Command) => {
      const { removeGrants } = await import('./commands/grants.js');
      await removeGrants(await contextOf(command, signal), ids);
    });

  add('ls', 'list buckets, or the objects of one')
    .argument('[bucket]', 'BUCKET or BUCKET/PREFIX')
    .option('--grant <file>', "go by somebody's access grant: its file, or itself (GRANARY_GRANT)")
    .addHelpText(
      'after',
      examples(
        'granary ls',
        'granary ls album',
        'granary ls album/2026/',
        'granary ls album --grant anna.grant',
      ),
    )
    .action(async (bucket: string | undefined, options: { grant?: string }, command: Command) => {
      const { lsAny } = await import('./commands/shared.js');
      await lsAny(await contextOf(command, signal), bucket, options);
    });

  add('stat', 'show everything about an object')
    .argument('<object>', 'BUCKET/NAME, or NAME in the bucket "default"')
    .addHelpText('after', examples('granary stat photo.jpg', 'granary stat album/photo.jpg --json'))
    .action(async (object: string, _options: unknown, command: Command) => {
      const { stat } = await import('./commands/objects.js');
      await stat(await contextOf(command, signal), object);
    });

  add('rm', 'delete objects, here and at every farmer')
    .argument('<objects...>', 'BUCKET/NAME, or NAME in the bucket "default"')
    .addHelpText('after', examples('granary rm photo.jpg', 'granary rm album/1.jpg album/2.jpg'))
    .action(async (objects: string[], _options: unknown, command: Command) => {
      const { rm } = await import('./commands/objects.js');
      await rm(await contextOf(command, signal), objects);
    });

  add('gc', 'delete what is left over, and prove that farmers hold nothing else of yours')
    .option('--unfinished', 'give up unfinished puts, too, and have what they stored deleted')
    .addHelpText('after', examples('granary gc', 'granary gc --unfinished'))
    .action(async (options: { unfinished?: boolean }, command: Command) => {
      const { gc } = await import('./commands/objects.js');
      await gc(await contextOf(command, signal), options);
    });

  add('status', 'show what is stored, what is unfinished, and the farmers that answer')
    .option('--offline', 'do not ask the network')
    .addHelpText('after', examples('granary status', 'granary status --json'))
    .action(async (options: { offline?: boolean }, command: Command) => {
      const { status } = await import('./commands/status.js');
      await status(await contextOf(command, signal), options);
    });

  add('farmers', 'show every farmer met, its standing, and why it has it')
    .option('--refresh', 'ask the network first')
    .option('--pardon <node-id>', 'give a suspected or disqualified farmer another chance')
    .option('--evidence', 'print the signed proofs of failed audits, one line of JSON each')
    .addHelpText(
      'after',
      examples(
        'granary farmers',
        'granary farmers --refresh --json',
        'granary farmers --evidence > proofs.jsonl',
      ),
    )
    .action(
      async (
        options: { refresh?: boolean; pardon?: string; evidence?: boolean },
        command: Command,
      ) => {
        const { farmers } = await import('./commands/farmers.js');
        await farmers(await contextOf(command, signal), options);
      },
    );

  add('repair', 'look after what is stored: audits, renewals, repair, deletes; until Ctrl-C')
    .option('--once', 'one round, then end')
    .option('--audit-all', 'audit every farmer now, due or not (with --once)')
    .option('--interval <time>', 'between two rounds (GRANARY_REPAIR_INTERVAL; default 10m)')
    .option(
      '--audit-interval <time>',
      'between two audits of a farmer (GRANARY_AUDIT_INTERVAL; 6h)',
    )
    .option('--rate <size>', 'bytes a second that repairs may move (GRANARY_REPAIR_RATE; 16MiB)')
    .option('--offline-after <time>', 'a farmer silent for so long counts as gone', '12h')
    .addHelpText(
      'after',
      examples(
        'granary repair',
        'granary repair --once --json',
        'granary repair --interval 1h --audit-interval 1h --rate 2MB',
      ),
    )
    .action(async (options: RepairOptions, command: Command) => {
      const { repair } = await import('./commands/repair.js');
      await repair(await contextOf(command, signal), options);
    });

  withChain(
    add('wallet', 'show what this node has to pay with, or what a farmer has earned on a chain'),
  )
    .option('--data <dir>', "a farmer's directory, instead of the renter's home")
    .addHelpText(
      'after',
      examples('granary wallet', 'granary wallet --data /srv/granary --rpc http://127.0.0.1:8545'),
    )
    .action(async (options: { data?: string }, command: Command) => {
      const { wallet } = await import('./commands/wallet.js');
      await wallet(await contextOf(command, signal), options);
    });

  add('costs', 'show what is owed to farmers and tunnels: to whom, for what, past and expected')
    .option(
      '--data <dir>',
      "a farmer's directory, instead of the renter's home: what its tunnels cost",
    )
    .option('--days', 'day by day')
    .option('--csv', 'day by day as CSV')
    .option('--from <day>', 'from this day on, YYYY-MM-DD')
    .addHelpText(
      'after',
      examples(
        'granary costs',
        'granary costs --csv --from 2030-01-01',
        'granary costs --data ./farm',
      ),
    )
    .action(async (options: AccountOptions, command: Command) => {
      const { costs } = await import('./commands/accounts.js');
      await costs(await contextOf(command, signal), options);
    });

  add('earnings', 'show what a farmer or a tunnel is owed: by whom, for what, past and expected')
    .requiredOption('--data <dir>', "the node's directory; it may be running")
    .option('--days', 'day by day')
    .option('--csv', 'day by day as CSV')
    .option('--from <day>', 'from this day on, YYYY-MM-DD')
    .addHelpText(
      'after',
      examples('granary earnings --data /srv/granary', 'granary earnings --data ./farm --csv'),
    )
    .action(async (options: AccountOptions, command: Command) => {
      const { earnings } = await import('./commands/accounts.js');
      await earnings(await contextOf(command, signal), options);
    });

  const channels = program
    .command('channels')
    .description(
      'payment channels: list, pay, close, withdraw, redeem, received, statement, deploy',
    );
  channels.exitOverride().copyInheritedSettings(program);
  add('list', 'show every channel: deposit, promised, settled', channels)
    .option('--data <dir>', "a farmer's directory, instead of the renter's home")
    .addHelpText('after', examples('granary channels list', 'granary channels list --data ./farm'))
    .action(async (options: { data?: string }, command: Command) => {
      const { list } = await import('./commands/channels.js');
      await list(await contextOf(command, signal), options);
    });
  withChain(add('pay', 'pay every farmer what is due now', channels))
    .addHelpText('after', examples('granary channels pay'))
    .action(async (_options: unknown, command: Command) => {
      const { pay } = await import('./commands/channels.js');
      await pay(await contextOf(command, signal));
    });
  for (const [name, description] of [
    ['close', 'ask for what is left of a deposit: the challenge period begins'],
    ['withdraw', 'take back what is left of a deposit, when the challenge period is over'],
  ] as const) {
    withChain(add(name, description, channels))
      .argument('<channel>', 'its ID, or the first digits of it')
      .option('--data <dir>', "a farmer's directory: its channel to a tunnel")
      .addHelpText(
        'after',
        examples(
          `granary channels ${name} 3f2a9c41`,
          `granary channels ${name} 3f2a9c41 --data ./farm`,
        ),
      )
      .action(async (channel: string, options: { data?: string }, command: Command) => {
        const { close } = await import('./commands/channels.js');
        await close(await contextOf(command, signal), channel, name, options);
      });
  }
  withChain(add('redeem', "turn a farmer's vouchers into money now", channels))
    .requiredOption('--data <dir>', "the farmer's directory; it may be running")
    .addHelpText('after', examples('granary channels redeem --data /srv/granary'))
    .action(async (options: { data: string }, command: Command) => {
      const { redeem } = await import('./commands/channels.js');
      await redeem(await contextOf(command, signal), options);
    });
  add('received', 'note that somebody has paid outside (ledger)', channels)
    .argument('<renter>', 'the node ID of who paid, or the first digits of it')
    .argument('<amount>', 'in the smallest unit')
    .requiredOption('--data <dir>', "the farmer's directory; it may be running")
    .option('--currency <name>', 'when there is more than one')
    .addHelpText('after', examples('granary channels received 5b44e860 1200 --data /srv/granary'))
    .action(
      async (
        renter: string,
        amount: string,
        options: { data: string; currency?: string },
        command: Command,
      ) => {
        const { received } = await import('./commands/channels.js');
        await received(await contextOf(command, signal), renter, amount, options);
      },
    );
  add('statement', 'have a farmer sign how the account stands', channels)
    .argument('<farmer>', 'its node ID, or the first digits of it')
    .addHelpText('after', examples('granary channels statement 5b44e860 --json > statement.json'))
    .action(async (farmer: string, _options: unknown, command: Command) => {
      const { statement } = await import('./commands/channels.js');
      await statement(await contextOf(command, signal), farmer);
    });
  withChain(add('deploy', 'put the contract of payment channels on a chain', channels))
    .addHelpText('after', examples('granary channels deploy --rpc http://127.0.0.1:8545'))
    .action(async (_options: unknown, command: Command) => {
      const { deploy } = await import('./commands/channels.js');
      await deploy(await contextOf(command, signal));
    });

  add('audit-kit', 'let somebody else audit an object: write signed questions that need no keys')
    .argument('<object>', 'BUCKET/NAME, or NAME in the bucket "default"')
    .argument('<file>', 'the kit, or - for stdout')
    .option('--valid <time>', 'how long the questions may be put', '30d')
    .addHelpText('after', examples('granary audit-kit backups/src.tar kit.json'))
    .action(async (object: string, file: string, options: { valid: string }, command: Command) => {
      const { auditKit } = await import('./commands/audit.js');
      await auditKit(await contextOf(command, signal), object, file, options);
    });

  add('audit', "put the questions of another's audit kit to its farmers")
    .argument('<kit>', 'a file that "granary audit-kit" wrote, or - for stdin')
    .addHelpText('after', examples('granary audit kit.json --bootstrap https://127.0.0.1:4600'))
    .action(async (kit: string, _options: unknown, command: Command) => {
      const { audit } = await import('./commands/audit.js');
      await audit(await contextOf(command, signal), kit);
    });

  add('judge', 'check proofs of failed audits, as anybody can')
    .argument('<proofs>', 'lines of JSON from "granary farmers --evidence", or - for stdin')
    .addHelpText('after', examples('granary judge proofs.jsonl'))
    .action(async (proofs: string, _options: unknown, command: Command) => {
      const { judge } = await import('./commands/audit.js');
      await judge(await contextOf(command, signal), proofs);
    });

  withDatabase(
    add('recover', 'bring everything back from the 24 words and one address of the network'),
  )
    .option('--words <words>', 'the 24 words, when there are no keys here yet; else asked for')
    .option('--journal <name>', "which bridge's, where there were several")
    .addHelpText(
      'after',
      examples(
        'granary recover --bootstrap https://127.0.0.1:4600 --words "abandon …"',
        'granary recover --home /mnt/new --bootstrap https://127.0.0.1:4600 < words.txt',
      ),
    )
    .action(async (options: RecoverBridgeOptions & { words?: string }, command: Command) => {
      const { recover } = await import('./commands/recover.js');
      await recover(await contextOf(command, signal), options);
    });

  add('export', 'write all that is known of your objects into a sealed file')
    .argument('<file>', 'a new file')
    .addHelpText('after', examples('granary export /media/usb/granary-export'))
    .action(async (file: string, _options: unknown, command: Command) => {
      const { exportTo } = await import('./commands/recover.js');
      await exportTo(await contextOf(command, signal), file);
    });

  add('import', 'read an export back, on an empty machine with the same keys')
    .argument('<file>', 'what "granary export" wrote')
    .addHelpText('after', examples('granary import /media/usb/granary-export'))
    .action(async (file: string, _options: unknown, command: Command) => {
      const { importFrom } = await import('./commands/recover.js');
      await importFrom(await contextOf(command, signal), file);
    });

  const bridgeCommand = withDashboard(
    withDatabase(add('bridge', 'serve S3 and REST: an endpoint for applications into the network')),
  )
    .option(
      '--dashboard-names',
      'show names of buckets and objects in the dashboard (GRANARY_DASHBOARD_NAMES=show)',
    )
    .option('--listen <host:port>', 'address to listen on; port 0 takes any', '127.0.0.1:9000')
    .option('--region <name>', 'the region that clients sign for', 'us-east-1')
    .option('--domain <name>', 'serves BUCKET.NAME, too; may be repeated', collect)
    .option('--tls-key <file>', 'serve HTTPS with this key, in PEM')
    .option('--tls-cert <file>', 'and this certificate chain, in PEM; read again when it changes')
    .option(
      '--tls-self-signed',
      'serve HTTPS with a certificate of its own, made when there is none',
    )
    .option('--metrics <address>', 'serve Prometheus metrics over HTTP at HOST:PORT/metrics')
    .option(
      '--app <host:port>',
      'serve the web app besides, which opens share links, too; port 0 takes any',
    )
    .option('--inline <size>', 'objects up to this size go to the database first', '64KiB')
    .option('--pack <time>', 'and so long later into the network, many together', '30s')
    .option('--journal-interval <time>', 'names and settings go into the network so often', '5s')
    .option('--new', 'begin with an empty database although the network has an older one')
    .option('--requests <n>', 'requests answered at one time', '256')
    .option('--transfers <n>', 'transfers with farmers at one time, each way; memory follows', '12')
    .option('--grace <time>', 'how long requests under way may take when it is stopped', '30s')
    .option('--no-care', 'leave audits, renewals and repair to a "granary repair" elsewhere')
    .addHelpText(
      'after',
      examples(
        'granary bridge',
        'granary bridge --listen 0.0.0.0:443 --tls-key key.pem --tls-cert cert.pem --domain s3.example.org',
        'granary bridge --listen 0.0.0.0:443 --acme s3.example.org --domain s3.example.org',
        'granary bridge --app 127.0.0.1:9080',
        'granary bridge --database postgres://granary@db/bridge --master-key-file /etc/granary/master.key',
      ),
    )
    .action(async (options: BridgeOptions, command: Command) => {
      const { bridge } = await import('./commands/bridge.js');
      await bridge(await contextOf(command, signal), options, version);
    })
    // Options behind a command below are that command's.
    .enablePositionalOptions();
  withAcme(bridgeCommand);
  withBridgeTarget(add('status', 'how a bridge that runs does', bridgeCommand))
    .addHelpText('after', examples('granary bridge status --bridge http://127.0.0.1:9000'))
    .action(async (options: BridgeTargetOptions, command: Command) => {
      const { bridgeStatus } = await import('./commands/bridge-users.js');
      await bridgeStatus(await contextOf(command, signal), options);
    });
  withDatabase(add('recover', "make the bridge's database anew from the network", bridgeCommand))
    .option('--journal <name>', "which bridge's, where there were several")
    .addHelpText('after', examples('granary bridge recover'))
    .action(async (_options: unknown, command: Command) => {
      const { recoverBridge } = await import('./commands/recover-bridge.js');
      const options = command.optsWithGlobals<RecoverBridgeOptions>();
      await recoverBridge(await contextOf(command, signal), options);
    });
  addUserCommands(bridgeCommand);

  const accessKeys = program
    .command('access-keys')
    .description("keys of the bridge's users: list, add, change, remove");
  accessKeys.exitOverride().copyInheritedSettings(program);
  withBridgeTarget(add('list', 'show every user and key, and what it is good for', accessKeys))
    .option('--user <name>', "only this user's; with --bridge, me is who has the key")
    .addHelpText(
      'after',
      examples(
        'granary access-keys list',
        'granary access-keys list --user me --bridge https://s3.example.org',
      ),
    )
    .action(async (options: ListKeysOptions, command: Command) => {
      const { listKeys } = await import('./commands/access-keys.js');
      await listKeys(await contextOf(command, signal), options);
    });
  withScope(
    withBridgeTarget(
      add('add', 'make a key, and its user when it is new', accessKeys),
    ).requiredOption('--user <name>', 'whose key it is; with --bridge, me is who has the key'),
  )
    .addHelpText(
      'after',
      examples(
        'granary access-keys add --user backup',
        "granary access-keys add --user web --buckets 'site-*' --rights list,read --expires 90d",
        'granary access-keys add --user me --rights read --bridge https://s3.example.org',
      ),
    )
    .action(async (options: AddKeyOptions, command: Command) => {
      const { addKey } = await import('./commands/access-keys.js');
      await addKey(await contextOf(command, signal), options);
    });
  withScope(withBridgeTarget(add('change', 'limit, disable or describe a key', accessKeys)))
    .argument('<id>', 'the access key ID')
    .option('--disable', 'good for nothing, until it is enabled')
    .option('--enable', 'good again')
    .addHelpText(
      'after',
      examples(
        'granary access-keys change GR7KQ2… --disable',
        'granary access-keys change GR7KQ2… --rights list,read --expires 30d',
      ),
    )
    .action(async (id: string, options: ChangeKeyOptions, command: Command) => {
      const { changeKey } = await import('./commands/access-keys.js');
      await changeKey(await contextOf(command, signal), id, options);
    });
  withBridgeTarget(
    add('remove', 'take a key away: it is good for nothing from then on', accessKeys),
  )
    .argument('<id>', 'the access key ID')
    .addHelpText('after', examples('granary access-keys remove GR7KQ2…'))
    .action(async (id: string, options: BridgeTargetOptions, command: Command) => {
      const { removeKey } = await import('./commands/access-keys.js');
      await removeKey(await contextOf(command, signal), id, options);
    });

  withDashboard(
    add('network', 'run a local network of farmer processes, to try things on, until Ctrl-C'),
  )
    .option('-n, --farmers <n>', 'how many', '12')
    .option('--dir <dir>', 'where to keep their data; without it, it is removed at the end')
    .option('--port-base <port>', 'the first port; any free ones when not given')
    .option('--space <size>', 'space of each farmer', '10GB')
    .option('--reservation <time>', 'how long a broken-off upload is kept to go on', '1h')
    .option('--price <amount>', 'that each farmer asks for a GB-month', '0')
    .option('--egress-price <amount>', 'that each farmer asks for a GB of egress', '0')
    .option('--browsers', 'have renters in browsers reach the farmers, and serve the app for them')
    .option('--app <host:port>', 'where to serve the app, with --browsers', '127.0.0.1:0')
    .addHelpText(
      'after',
      examples('granary network', 'granary network -n 30 --dir ./network --port-base 4600'),
    )
    .action(async (options: NetworkOptions, command: Command) => {
      const { network } = await import('./commands/network.js');
      await network(await contextOf(command, signal), options);
    });

  add('app', 'serve the app for those who store files from a browser, until Ctrl-C')
    .option('--listen <host:port>', 'address to listen on; port 0 takes any', '127.0.0.1:9080')
    .addHelpText(
      'after',
      examples(
        'granary app',
        'granary app --bootstrap wss://farm.example.org:4601 --listen 127.0.0.1:9080',
      ),
    )
    .action(async (options: AppOptions, command: Command) => {
      const { app } = await import('./commands/app.js');
      await app(await contextOf(command, signal), options);
    });

  const dht = program.command('dht').description('speak to the DHT itself');
  dht.exitOverride().copyInheritedSettings(program);
  add('ping', 'ping the node at an address', dht)
    .argument('<address>', 'https://HOST:PORT')
    .addHelpText('after', examples('granary dht ping https://127.0.0.1:4600'))
    .action(async (address: string, _options: unknown, command: Command) => {
      const { ping } = await import('./commands/dht.js');
      await ping(await contextOf(command, signal), address);
    });
  add('lookup', 'find the nodes closest to an ID', dht)
    .argument('<id>', '64 hex digits')
    .addHelpText(
      'after',
      examples(
        'granary dht lookup 6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b',
      ),
    )
    .action(async (id: string, _options: unknown, command: Command) => {
      const { lookup } = await import('./commands/dht.js');
      await lookup(await contextOf(command, signal), id);
    });
  add('trace', 'look for a value, and show the way hop by hop with times', dht)
    .argument('<key>', '64 hex digits: a key, or the ID of a node')
    .addHelpText(
      'after',
      examples(
        'granary dht trace 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03',
        'granary dht trace 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 --json',
      ),
    )
    .action(async (key: string, _options: unknown, command: Command) => {
      const { trace } = await import('./commands/dht.js');
      await trace(await contextOf(command, signal), key);
    });
  add('put', 'store a value of at most 64 KiB; prints its key', dht)
    .argument('<file>', 'the file, or - for stdin')
    .addHelpText('after', examples('echo hello | granary dht put -'))
    .action(async (file: string, _options: unknown, command: Command) => {
      const { put } = await import('./commands/dht.js');
      await put(await contextOf(command, signal), file);
    });
  add('get', 'find a value', dht)
    .argument('<key>', '64 hex digits: the SHA-256 of the value')
    .addHelpText(
      'after',
      examples('granary dht get 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03'),
    )
    .action(async (key: string, _options: unknown, command: Command) => {
      const { get } = await import('./commands/dht.js');
      await get(await contextOf(command, signal), key);
    });

  function addUserCommands(parent: Command): void {
    const users = parent
      .command('users')
      .description("the bridge's users: list, show, add, change, password, remove");
    users.exitOverride().copyInheritedSettings(program);
    withBridgeTarget(add('list', 'show every user and its limits', users))
      .addHelpText('after', examples('granary bridge users list'))
      .action(async (options: BridgeTargetOptions, command: Command) => {
        const { listUsers } = await import('./commands/bridge-users.js');
        await listUsers(await contextOf(command, signal), options);
      });
    withBridgeTarget(add('show', 'show a user, its limits, and what it holds', users))
      .argument('<name>', 'with --bridge, me is who has the key')
      .addHelpText('after', examples('granary bridge users show anna'))
      .action(async (name: string, options: BridgeTargetOptions, command: Command) => {
        const { showUser } = await import('./commands/bridge-users.js');
        await showUser(await contextOf(command, signal), name, options);
      });
    withUserLimits(withBridgeTarget(add('add', 'make a user', users)))
      .argument('<name>', 'unique among users')
      .option('--admin', 'may manage users')
      .option('--with-password', 'with a password: asked for, or a line on stdin')
      .addHelpText(
        'after',
        examples(
          'granary bridge users add anna',
          'granary bridge users add ben --quota 100GB --max-buckets 10 --request-rate 50/200 --byte-rate 10MB',
        ),
      )
      .action(async (name: string, options: AddUserOptions, command: Command) => {
        const { addUser } = await import('./commands/bridge-users.js');
        await addUser(await contextOf(command, signal), name, options);
      });
    withUserLimits(
      withBridgeTarget(add('change', 'rename, limit or disable a user, make it an admin', users)),
    )
      .argument('<name>', 'the user')
      .option('--rename <name>', 'its new name')
      .option('--disable', 'its keys and password are good for nothing, until it is enabled')
      .option('--enable', 'good again')
      .option('--admin', 'may manage users')
      .option('--no-admin', 'may not')
      .addHelpText(
        'after',
        examples(
          'granary bridge users change ben --quota 200GB --request-rate none',
          'granary bridge users change ben --disable',
        ),
      )
      .action(async (name: string, options: ChangeUserOptions, command: Command) => {
        const { changeUser } = await import('./commands/bridge-users.js');
        await changeUser(await contextOf(command, signal), name, options);
      });
    withBridgeTarget(add('password', 'set a password: asked for, or a line on stdin', users))
      .argument('<name>', 'the user')
      .option('--remove', 'take it away: access keys only')
      .addHelpText(
        'after',
        examples(
          'granary bridge users password anna',
          'granary bridge users password anna < password.txt',
          'granary bridge users password anna --remove',
        ),
      )
      .action(
        async (
          name: string,
          options: BridgeTargetOptions & { remove?: boolean },
          command: Command,
        ) => {
          const { setPassword } = await import('./commands/bridge-users.js');
          await setPassword(await contextOf(command, signal), name, options);
        },
      );
    withBridgeTarget(add('remove', 'delete a user who owns no buckets, with its keys', users))
      .argument('<name>', 'the user')
      .addHelpText('after', examples('granary bridge users remove anna'))
      .action(async (name: string, options: BridgeTargetOptions, command: Command) => {
        const { removeUser } = await import('./commands/bridge-users.js');
        await removeUser(await contextOf(command, signal), name, options);
      });
  }

  program.helpCommand(false);
  program
    .command('help')
    .argument('[command...]')
    .description('help on a command, or on exit-codes')
    .action((words: string[]) => {
      if (words[0] === 'exit-codes') {
        const rows = Object.entries(EXIT_CODES).map(([name, code]) => [
          String(code),
          EXIT_MEANINGS[name as ExitName],
        ]);
        process.stdout.write(`${table([['code', 'meaning'], ...rows])}\n`);
        return;
      }
      let target: Command = program;
      for (const word of words) {
        const found = target.commands.find((command) => command.name() === word);
        if (found === undefined) throw new CliError('CLI_USAGE', `there is no command "${word}"`);
        target = found;
      }
      target.outputHelp();
    });
  return program;
}
