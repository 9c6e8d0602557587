import { join } from 'node:path';
import type { Command } from 'commander';
import type { Logger, Plugin } from '@granary/kad';
import type { ProxiedDialer } from '@granary/nat';
import type { RecordDatabase, Renter, RenterKeys, RenterSettings } from '@granary/renter';
import { type Config, homeOf, loadConfig } from './config.js';
import { type Output, terminalOutput } from './output.js';
import { askPassword, givenPassword } from './password.js';
import { chainSettlement, payingSettings } from './paying.js';
import { dialerOf } from './proxy.js';
import { parseDuration, parseSize } from './units.js';

/** Options that every command takes. */
export interface GlobalFlags {
  readonly home?: string;
  readonly json?: boolean;
  readonly logLevel?: Config['logLevel'];
  readonly bootstrap?: string[];
  readonly proxy?: string;
  readonly passwordFile?: string;
  readonly difficulty?: string;
  readonly maxPrice?: string;
  readonly maxEgressPrice?: string;
  readonly maxTunnelPrice?: string;
  readonly rpc?: string;
  readonly chainId?: number;
  readonly contract?: string;
  readonly token?: string;
  readonly portMapping?: Config['portMapping'];
  readonly dialBack?: Config['dialBack'];
  readonly tunnels?: Config['tunnels'];
  readonly offerTunnel?: Config['offerTunnel'];
  /** False with `--no-dashboard`. */
  readonly dashboard?: string | false;
  readonly dashboardNames?: boolean;
}

/** What a command works with. */
export interface Context {
  readonly home: string;
  readonly config: Config;
  readonly flags: GlobalFlags;
  readonly output: Output;
  readonly logger: Logger;
  /** How connections are opened; not there when they go out from this machine itself. */
  readonly dialer?: ProxiedDialer;
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
}

/** The context of a command, from its flags, the environment and the configuration file. */
export async function contextOf(
  command: Command,
  signal: AbortSignal,
  defaultLevel = 'warn',
): Promise<Context> {
  const flags = command.optsWithGlobals<GlobalFlags>();
  const home = homeOf(flags.home, process.env);
  const config = await loadConfig(home, process.env, {
    bootstrap: flags.bootstrap,
    proxy: flags.proxy,
    difficulty: flags.difficulty,
    logLevel: flags.logLevel,
    maxPrice: flags.maxPrice,
    maxEgressPrice: flags.maxEgressPrice,
    maxTunnelPrice: flags.maxTunnelPrice,
    rpc: flags.rpc,
    chainId: flags.chainId,
    contract: flags.contract,
    token: flags.token,
    portMapping: flags.portMapping,
    dialBack: flags.dialBack,
    tunnels: flags.tunnels,
    offerTunnel: flags.offerTunnel,
    dashboard: flags.dashboard === false ? 'off' : flags.dashboard,
    dashboardNames: flags.dashboardNames === true ? 'show' : undefined,
  });
  const { createLogger } = await import('./logger.js');
  const logger = createLogger(config.logLevel ?? defaultLevel);
  const dialer = await dialerOf(config);
  return {
    home,
    config,
    flags,
    output: terminalOutput(flags.json === true),
    logger,
    ...(dialer !== undefined && { dialer }),
    signal,
  };
}

/** The keys of the home directory; asks for their password when it has to. */
export async function loadKeys({ home, flags }: Context): Promise<RenterKeys> {
  const { loadKeyFile } = await import('@granary/renter');
  const path = join(home, 'keys.json');
  const password = await givenPassword(flags.passwordFile, process.env);
  try {
    return await loadKeyFile(path, password);
  } catch (error) {
    const needed = (error as { code?: unknown }).code === 'RENTER_PASSWORD_NEEDED';
    if (!needed || !process.stdin.isTTY) throw error;
    return loadKeyFile(path, await askPassword());
  }
}

/** Open the renter of the home directory, do something with it, and close it. */
export async function withRenter<T>(
  context: Context,
  work: (renter: Renter) => Promise<T>,
  settings: Partial<RenterSettings> = {},
  plugins: readonly Plugin[] = [],
): Promise<T> {
  const { HolePuncher } = await import('@granary/nat');
  const { Renter } = await import('@granary/renter');
  const { parseScheme } = await import('@granary/protocol');
  const { config, dialer, home, logger } = context;
  const keys = await loadKeys(context);
  const settlement = await chainSettlement(config, keys.identity, dialer);
  const records = await openRecords(context, keys.identity.nodeId);
  const renter = await Renter.open({
    directory: join(home, 'store'),
    keys,
    bootstrap: config.bootstrap ?? [],
    logger,
    plugins,
    ...(records !== undefined && { records }),
    // Behind a proxy nothing may go out in another way.
    ...(dialer === undefined && { paths: new HolePuncher() }),
    ...(dialer !== undefined && { dialer }),
    ...(settlement !== undefined && { settlement }),
    settings: {
      ...payingSettings(config),
      ...(config.scheme !== undefined && { scheme: parseScheme(config.scheme) }),
      ...(config.duration !== undefined && { durationMs: parseDuration(config.duration) }),
      ...(config.offers !== undefined && { offers: config.offers }),
      ...(config.diversity !== undefined && { diversity: config.diversity }),
      ...(config.auditInterval !== undefined && {
        auditIntervalMs: parseDuration(config.auditInterval),
      }),
      ...(config.repairInterval !== undefined && {
        roundMs: parseDuration(config.repairInterval),
      }),
      ...(config.repairRate !== undefined && {
        repairBytesPerSecond: parseSize(config.repairRate),
      }),
      ...settings,
    },
    difficulty: config.difficulty ?? 0,
  });
  try {
    return await work(renter);
  } finally {
    await renter.close();
  }
}

/** The renter's records in the database that the configuration names; undefined: in the home directory. */
async function openRecords(
  { config, logger }: Context,
  nodeId: string,
): Promise<RecordDatabase | undefined> {
  if (config.records === undefined) return undefined;
  const { SqlRecords, openDatabase } = await import('@granary/bridge');
  const { systemClock, systemRandom } = await import('@granary/kad');
  const parts = { clock: systemClock, random: systemRandom, logger };
  return SqlRecords.open(await openDatabase(config.records, parts), nodeId);
}
