import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { CliError } from './cli-error.js';

const configSchema = z.strictObject({
  bootstrap: z.array(z.string()).optional(),
  proxy: z.string().optional(),
  scheme: z.string().optional(),
  duration: z.string().optional(),
  difficulty: z.coerce.number().int().min(0).max(64).optional(),
  offers: z.enum(['auto', 'always', 'never']).optional(),
  diversity: z.enum(['require', 'prefer']).optional(),
  auditInterval: z.string().optional(),
  repairInterval: z.string().optional(),
  repairRate: z.string().optional(),
  maxPrice: z.string().optional(),
  maxEgressPrice: z.string().optional(),
  maxTunnelPrice: z.string().optional(),
  budget: z.string().optional(),
  trust: z.string().optional(),
  advance: z.string().optional(),
  deposit: z.string().optional(),
  rpc: z.string().optional(),
  chainId: z.coerce.number().int().positive().optional(),
  contract: z.string().optional(),
  token: z.string().optional(),
  confirmations: z.coerce.number().int().min(0).max(10_000).optional(),
  challenge: z.string().optional(),
  records: z.string().optional(),
  portMapping: z.enum(['auto', 'always', 'never']).optional(),
  dialBack: z.enum(['auto', 'never']).optional(),
  tunnels: z.enum(['auto', 'always', 'never']).optional(),
  offerTunnel: z.enum(['auto', 'always', 'never']).optional(),
  shareBase: z.string().optional(),
  dashboard: z.string().optional(),
  dashboardNames: z.enum(['show', 'hide']).optional(),
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).optional(),
});

/** What can be set in the file, by the environment and by flags, in that order of rising precedence. */
export type Config = z.infer<typeof configSchema>;

/** The directory of keys, store and configuration. */
export function homeOf(flag: string | undefined, env: NodeJS.ProcessEnv): string {
  return resolve(flag ?? (env['GRANARY_HOME'] || join(homedir(), '.granary')));
}

/** What the environment sets. */
function fromEnvironment(env: NodeJS.ProcessEnv): Record<string, unknown> {
  const bootstrap = env['GRANARY_BOOTSTRAP']?.split(/[\s,]+/).filter((part) => part !== '');
  return {
    bootstrap: bootstrap?.length === 0 ? undefined : bootstrap,
    proxy: env['GRANARY_PROXY'],
    scheme: env['GRANARY_SCHEME'],
    duration: env['GRANARY_DURATION'],
    diversity: env['GRANARY_DIVERSITY'],
    offers: env['GRANARY_OFFERS'],
    difficulty: env['GRANARY_DIFFICULTY'],
    auditInterval: env['GRANARY_AUDIT_INTERVAL'],
    repairInterval: env['GRANARY_REPAIR_INTERVAL'],
    repairRate: env['GRANARY_REPAIR_RATE'],
    maxPrice: env['GRANARY_MAX_PRICE'],
    maxEgressPrice: env['GRANARY_MAX_EGRESS_PRICE'],
    maxTunnelPrice: env['GRANARY_MAX_TUNNEL_PRICE'],
    budget: env['GRANARY_BUDGET'],
    trust: env['GRANARY_TRUST'],
    advance: env['GRANARY_ADVANCE'],
    deposit: env['GRANARY_DEPOSIT'],
    rpc: env['GRANARY_RPC'],
    chainId: env['GRANARY_CHAIN_ID'],
    contract: env['GRANARY_CONTRACT'],
    token: env['GRANARY_TOKEN'],
    confirmations: env['GRANARY_CONFIRMATIONS'],
    challenge: env['GRANARY_CHALLENGE'],
    records: env['GRANARY_RECORDS'],
    portMapping: env['GRANARY_PORT_MAPPING'],
    dialBack: env['GRANARY_DIAL_BACK'],
    tunnels: env['GRANARY_TUNNELS'],
    offerTunnel: env['GRANARY_OFFER_TUNNEL'],
    shareBase: env['GRANARY_SHARE_BASE'],
    dashboard: env['GRANARY_DASHBOARD'],
    dashboardNames: env['GRANARY_DASHBOARD_NAMES'],
    logLevel: env['GRANARY_LOG_LEVEL'],
  };
}

function defined(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

/** Check values from one place. @throws CliError CLI_USAGE naming the place and the field. */
function check(values: unknown, where: string): Config {
  const result = configSchema.safeParse(values);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new CliError(
    'CLI_USAGE',
    `${where}: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`,
  );
}

/**
 * Put the configuration together: `config.json` in the home directory, then `GRANARY_…` of the
 * environment, then flags.
 *
 * @throws CliError CLI_USAGE.
 */
export async function loadConfig(
  home: string,
  env: NodeJS.ProcessEnv,
  flags: Record<string, unknown>,
): Promise<Config> {
  const path = join(home, 'config.json');
  let file: Config = {};
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (text !== undefined) {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw new CliError('CLI_USAGE', `${path} is not JSON: mend it or remove it`);
    }
    file = check(value, path);
  }
  return {
    ...file,
    ...check(defined(fromEnvironment(env)), 'the environment (GRANARY_…)'),
    ...check(defined(flags), 'the command line'),
  };
}
