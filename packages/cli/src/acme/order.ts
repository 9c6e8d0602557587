import { messageOf } from '@granary/kad';
import { CliError } from '../cli-error.js';
import type { KeyAndCertificate } from '../certificate-source.js';
import { ChallengeServer } from './challenge-server.js';

/** What a certificate is ordered with. */
export interface Order {
  /** Names that it is for; the first one is the main one. */
  readonly names: readonly string[];
  /** Whom the authority writes to when something is wrong. */
  readonly email?: string;
  /** Where the authority's directory is. */
  readonly directory: string;
  /** Where it is answered, as port 80 of every name. */
  readonly challengeAt: { readonly host: string; readonly port: number };
  /** Of the account, in PEM. */
  readonly accountKey: string;
  readonly signal: AbortSignal;
}

/** One request to the authority, and all of an order, in milliseconds. */
const REQUEST_MS = 30_000;
const ORDER_MS = 5 * 60_000;

/** A new key for an account with an authority, in PEM: P-256. */
export async function createAccountKey(): Promise<string> {
  const acme = await import('acme-client');
  return (await acme.crypto.createPrivateEcdsaKey()).toString();
}

/**
 * Order a certificate (ACME, RFC 8555; http-01). The library is loaded only here: who never orders one does
 * not pay for it.
 *
 * @throws CliError CLI_AUTHORITY when the authority gives none, CLI_AUTHORITY_UNREACHABLE,
 * CLI_PORT_IN_USE, CLI_INTERRUPTED.
 */
export async function orderCertificate(order: Order): Promise<KeyAndCertificate> {
  const { names, email, directory, challengeAt, accountKey, signal } = order;
  const acme = await import('acme-client');
  acme.axios.defaults.timeout = REQUEST_MS;
  // By itself it waits more than a minute for what does not answer.
  const { acmeSettings } = acme.axios.defaults as unknown as {
    acmeSettings: { retryMaxAttempts: number; retryDefaultDelay: number };
  };
  Object.assign(acmeSettings, { retryMaxAttempts: 2, retryDefaultDelay: 1 });
  const challenges = await ChallengeServer.start(challengeAt);
  const gaveUp = AbortSignal.any([signal, AbortSignal.timeout(ORDER_MS)]);
  try {
    const [key, csr] = await acme.crypto.createCsr(
      { altNames: [...names] },
      await acme.crypto.createPrivateEcdsaKey(),
    );
    const client = new acme.Client({
      directoryUrl: directory,
      accountKey,
      backoffAttempts: 20,
      backoffMin: 500,
      backoffMax: 10_000,
    });
    const ordering = client.auto({
      csr,
      ...(email !== undefined && { email }),
      // Whoever gives --acme agrees: the help says so.
      termsOfServiceAgreed: true,
      challengePriority: ['http-01'],
      // Many machines don't reach themselves by their public name.
      skipChallengeVerification: true,
      challengeCreateFn: (_authorization, { token }, answer) =>
        Promise.resolve(challenges.set(token, answer)),
      challengeRemoveFn: (_authorization, { token }) => Promise.resolve(challenges.remove(token)),
    });
    const cert = await untilAborted(ordering, gaveUp);
    return { key: key.toString(), cert };
  } catch (error) {
    throw signal.aborted ? new CliError('CLI_INTERRUPTED', 'stopped') : inWords(error, order);
  } finally {
    await challenges.close();
  }
}

/** The library takes no signal. What it does after that comes to nothing: nobody answers the authority. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(new Error('it took too long'));
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

function inWords(error: unknown, { names, directory }: Order): CliError {
  // This is how the library fails when there is no answer.
  if (error instanceof TypeError) {
    return new CliError(
      'CLI_AUTHORITY_UNREACHABLE',
      `the authority of certificates at ${directory} can't be reached`,
    );
  }
  return new CliError(
    'CLI_AUTHORITY',
    `the authority gave no certificate for ${names.join(', ')}: ${messageOf(error)}: does every name lead ` +
      'here, with port 80 open to everybody?',
  );
}
