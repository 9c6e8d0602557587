import { siteDirectory } from '@granary/web';
import type { Context } from '../context.js';
import { AppServer } from './app-server.js';
import { BrowserAddresses } from './browser-addresses.js';

/** The app as it is served for the network that the configuration names. */
export interface OpenApp {
  /** The address to open. */
  readonly url: string;
  /** Addresses that pages are told to join by; they may become more. */
  readonly bootstrap: readonly string[];
  close(): Promise<void>;
}

/**
 * Serve the app, and keep up which farmers pages can reach.
 *
 * @param known - who knows them; without it, a node that is here for this alone
 * @throws CliError CLI_USAGE when it can't listen.
 */
export async function openApp(
  context: Context,
  { host, port }: { readonly host: string; readonly port: number },
  known?: BrowserAddresses,
): Promise<OpenApp> {
  const { config, logger } = context;
  const addresses = known ?? (await BrowserAddresses.open(context));
  try {
    const server = await AppServer.start({
      host,
      port,
      site: siteDirectory,
      network: async () => ({
        bootstrap: addresses.list,
        ...(config.scheme !== undefined && { scheme: config.scheme }),
        ...(config.diversity !== undefined && { diversity: config.diversity }),
      }),
      logger,
    });
    return {
      url: server.url,
      get bootstrap() {
        return addresses.list;
      },
      close: async () => {
        await server.close();
        await addresses.close();
      },
    };
  } catch (error) {
    await addresses.close();
    throw error;
  }
}
