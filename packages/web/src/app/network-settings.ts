import { parseAddress } from '@granary/kad';
import { parseScheme, type RedundancyScheme } from '@granary/protocol';
import { z } from 'zod';

/** What a host of the app says of its network, in `network.json` beside it. */
export const hostNetworkSchema = z.object({
  /** Addresses that pages can join by: `ws:`, `wss:` and `webrtc:`. */
  bootstrap: z.array(z.string().max(500)).max(64),
  /** Redundancy of new objects, K/REPAIR/SUCCESS/N. */
  scheme: z.string().max(40).optional(),
  /** Whether no two shards of a segment may lie in one network or with one operator. */
  diversity: z.enum(['require', 'prefer']).optional(),
});

/** {@link hostNetworkSchema} */
export type HostNetwork = z.infer<typeof hostNetworkSchema>;

const ownSchema = z.object({
  bootstrap: z.array(z.string()).optional(),
  scheme: z.string().optional(),
  downloads: z.enum(['resume', 'straight']).optional(),
});

/** What the user has set, on this device. */
export type OwnSettings = z.infer<typeof ownSchema>;

/** What the app goes by. */
export interface AppSettings {
  readonly bootstrap: readonly string[];
  readonly scheme: RedundancyScheme | undefined;
  readonly diversity: 'require' | 'prefer' | undefined;
  /** `resume`: downloads are kept until they are whole, and go on after a reload. */
  readonly downloads: 'resume' | 'straight';
  /** Where the addresses are from. */
  readonly source: 'host' | 'own' | 'none';
}

/** A setting that is none. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
  readonly code = 'WEB_BAD_SETTING';
}

const KEY = 'granary-settings';
const SCHEMES = new Set(['ws', 'wss', 'webrtc']);

/** What the host of the app says; nothing when it says nothing. */
export async function hostNetwork(): Promise<HostNetwork | undefined> {
  try {
    const answer = await fetch('./network.json', {
      cache: 'no-cache',
      signal: AbortSignal.timeout(10_000),
    });
    return answer.ok ? hostNetworkSchema.parse(await answer.json()) : undefined;
  } catch {
    return undefined;
  }
}

/** What was set on this device. */
export function ownSettings(): OwnSettings {
  try {
    return ownSchema.parse(JSON.parse(localStorage.getItem(KEY) ?? '{}'));
  } catch {
    return {};
  }
}

/** Keep what was set. */
export function saveSettings(settings: OwnSettings): void {
  localStorage.setItem(KEY, JSON.stringify(settings));
}

/** What is in force: what the user has set, and else what the host says. */
export function settingsOf(host: HostNetwork | undefined, own: OwnSettings): AppSettings {
  const mine = own.bootstrap ?? [];
  const bootstrap = mine.length > 0 ? mine : (host?.bootstrap ?? []);
  return {
    bootstrap,
    scheme: schemeOf(own.scheme) ?? schemeOf(host?.scheme),
    diversity: host?.diversity,
    downloads: own.downloads ?? 'resume',
    source: mine.length > 0 ? 'own' : bootstrap.length > 0 ? 'host' : 'none',
  };
}

function schemeOf(text: string | undefined): RedundancyScheme | undefined {
  try {
    return text === undefined ? undefined : parseScheme(text);
  } catch {
    return undefined; // the usual one is as good
  }
}

/** Addresses, one a line. @throws SettingsError WEB_BAD_SETTING naming the one that is none. */
export function parseAddresses(text: string): string[] {
  const addresses = text.split(/[\s,]+/).filter((part) => part !== '');
  for (const address of addresses) {
    let scheme: string;
    try {
      ({ scheme } = parseAddress(address));
    } catch {
      throw new SettingsError(`${address} is not an address of a node`);
    }
    if (SCHEMES.has(scheme)) continue;
    throw new SettingsError(
      `${address}: pages reach nodes at wss://, webrtc:// and, on this machine, ws:// addresses`,
    );
  }
  return addresses;
}

/** A redundancy scheme in words. */
export function schemeInWords({ k, n }: Pick<RedundancyScheme, 'k' | 'n'>): string {
  return `any ${k} of ${n} farmers are enough to read it`;
}
