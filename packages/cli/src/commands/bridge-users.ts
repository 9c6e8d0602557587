import { createInterface } from 'node:readline';
import { type BridgeClient, type components, answerOf } from '@granary/bridge/client';
import { type BridgeTargetOptions, withBridge } from '../bridge-client-context.js';
import { CliError } from '../cli-error.js';
import type { Context } from '../context.js';
import { printable, table } from '../output.js';
import { askNewPassword } from '../password.js';
import { type Rate, formatSize, parseNumber, parseRate, parseSize } from '../units.js';

/** A user, as the REST API shows it. */
export type User = components['schemas']['User'];

/** Options that limit a user. */
export interface LimitOptions {
  readonly quota?: string;
  readonly maxObjects?: string;
  readonly maxBuckets?: string;
  readonly requestRate?: string;
  readonly byteRate?: string;
}

/** Options of `granary bridge users add`. */
export interface AddUserOptions extends BridgeTargetOptions, LimitOptions {
  readonly admin?: boolean;
  readonly withPassword?: boolean;
}

/** Options of `granary bridge users change`. */
export interface ChangeUserOptions extends BridgeTargetOptions, LimitOptions {
  readonly rename?: string;
  readonly disable?: boolean;
  readonly enable?: boolean;
  readonly admin?: boolean;
}

/** `granary bridge users list`: every user with its limits. */
export async function listUsers(context: Context, options: BridgeTargetOptions): Promise<void> {
  await withBridge(context, options, async ({ client }) => {
    const users: User[] = [];
    for await (const user of everyUser(client)) {
      context.output.result(user);
      users.push(user);
    }
    context.output.line(
      table([
        ['user', 'may', 'quota', 'requests', 'bytes'],
        ...users.map((user) => [
          printable(user.name),
          user.disabled ? 'nothing: disabled' : user.admin ? 'administer' : 'store',
          sayQuota(user.quota),
          sayRate(user.rateLimits.requests, String),
          sayRate(user.rateLimits.bytes, formatSize),
        ]),
      ]),
    );
  });
}

/** `granary bridge users show`: a user, its limits, and what it holds. */
export async function showUser(
  context: Context,
  name: string,
  options: BridgeTargetOptions,
): Promise<void> {
  await withBridge(context, options, async ({ client, remote }) => {
    const user = await userNamed(client, name, remote);
    const params = { path: { user: user.id } };
    const usage = answerOf(await client.GET('/users/{user}/usage', { params }));
    context.output.result({ ...user, usage });
    const { quota, rateLimits } = user;
    context.output.line(
      table([
        [printable(user.name), user.id],
        ['since', user.created],
        ['may', user.disabled ? 'nothing: disabled' : user.admin ? 'administer' : 'store'],
        ['password', user.hasPassword ? 'yes' : 'none: access keys only'],
        [
          'bytes',
          of(formatSize(usage.bytes), quota.bytes === null ? null : formatSize(quota.bytes)),
        ],
        ['objects', of(usage.objects, quota.objects)],
        ['buckets', of(usage.buckets, quota.buckets)],
        ['requests', sayRate(rateLimits.requests, String)],
        ['bytes moved', sayRate(rateLimits.bytes, formatSize)],
      ]),
    );
  });
}

/** `granary bridge users add`: make a user. */
export async function addUser(
  context: Context,
  name: string,
  options: AddUserOptions,
): Promise<void> {
  const limits = limitsOf(options);
  const password = options.withPassword === true ? await newPassword() : undefined;
  await withBridge(context, options, async ({ client }) => {
    const user = answerOf(
      await client.POST('/users', {
        body: {
          name,
          admin: options.admin === true,
          quota: { bytes: null, objects: null, buckets: null, ...limits.quota },
          rateLimits: { requests: null, bytes: null, ...limits.rateLimits },
          ...(password !== undefined && { password }),
        },
      }),
    );
    context.output.result(user);
    context.output.line(
      `Made ${printable(user.name)}. A key: granary access-keys add --user ${printable(user.name)}`,
    );
  });
}

/** `granary bridge users change`: rename, limit, disable a user, make it an admin or none. */
export async function changeUser(
  context: Context,
  name: string,
  options: ChangeUserOptions,
): Promise<void> {
  const { rename, disable, enable, admin } = options;
  const { quota, rateLimits } = limitsOf(options);
  if (disable === true && enable === true) {
    throw new CliError('CLI_USAGE', '--disable and --enable exclude each other');
  }
  const body = {
    ...(rename !== undefined && { name: rename }),
    ...(disable === true && { disabled: true }),
    ...(enable === true && { disabled: false }),
    ...(admin !== undefined && { admin }),
    ...(Object.keys(quota).length > 0 && { quota }),
    ...(Object.keys(rateLimits).length > 0 && { rateLimits }),
  };
  if (Object.keys(body).length === 0) {
    throw new CliError('CLI_USAGE', 'nothing to change: see granary bridge users change --help');
  }
  await withBridge(context, options, async ({ client, remote }) => {
    const { id } = await userNamed(client, name, remote);
    const params = { path: { user: id } };
    const user = answerOf(await client.PATCH('/users/{user}', { params, body }));
    context.output.result(user);
    context.output.line(`Changed ${printable(user.name)}.`);
  });
}

/** `granary bridge users password`: set a password, or take it away. */
export async function setPassword(
  context: Context,
  name: string,
  options: BridgeTargetOptions & { readonly remove?: boolean },
): Promise<void> {
  const password = options.remove === true ? null : await newPassword();
  await withBridge(context, options, async ({ client, remote }) => {
    const user = await userNamed(client, name, remote);
    const params = { path: { user: user.id } };
    answerOf(await client.PUT('/users/{user}/password', { params, body: { password } }));
    context.output.result({ user: user.name, hasPassword: password !== null });
    context.output.line(
      password === null
        ? `${printable(user.name)} has no password any more; sessions have ended.`
        : `${printable(user.name)} has a new password; sessions have ended.`,
    );
  });
}

/** `granary bridge users remove`: delete a user who owns no buckets, with its keys. */
export async function removeUser(
  context: Context,
  name: string,
  options: BridgeTargetOptions,
): Promise<void> {
  await withBridge(context, options, async ({ client, remote }) => {
    const user = await userNamed(client, name, remote);
    answerOf(await client.DELETE('/users/{user}', { params: { path: { user: user.id } } }));
    context.output.result({ removed: user.name });
    context.output.line(`Removed ${printable(user.name)}, with its keys.`);
  });
}

/** `granary bridge status`: how a bridge that runs does. */
export async function bridgeStatus(context: Context, options: BridgeTargetOptions): Promise<void> {
  if (!(options.bridge ?? process.env['GRANARY_BRIDGE_URL'])) {
    throw new CliError('CLI_USAGE', 'which bridge? --bridge http://HOST:PORT');
  }
  await withBridge(context, options, async ({ client }) => {
    const status = answerOf(await client.GET('/status'));
    context.output.result(status);
    const { requests, jobs } = status;
    context.output.line(
      table([
        ['version', status.version],
        ['up', `${Math.round(status.uptimeSeconds)} s`],
        ['database', status.database ? 'answers' : 'away'],
        ['network', status.network ? 'answers' : 'away'],
        ['requests', `${requests.running} of ${requests.most}`],
        ['connections', String(status.connections)],
        ...jobs.map(({ queue, waiting, leased, failing }) => [
          `jobs: ${queue}`,
          `${waiting} waiting, ${leased} under way, ${failing} failing`,
        ]),
      ]),
    );
  });
}

/** Every user, in order of name. */
export async function* everyUser(client: BridgeClient): AsyncGenerator<User> {
  for (let after: string | undefined; ;) {
    const params = { query: after === undefined ? {} : { after } };
    const page = answerOf(await client.GET('/users', { params }));
    yield* page.users;
    if (page.next === null) return;
    after = page.next;
  }
}

/**
 * A user by its name; of a bridge that is asked by a key, `me` is who has the key.
 *
 * @throws CliError CLI_NO_SUCH_USER; BridgeProblem.
 */
export async function userNamed(
  client: BridgeClient,
  name: string,
  remote: boolean,
): Promise<User> {
  const user = await findUser(client, name, remote);
  if (user !== undefined) return user;
  throw new CliError('CLI_NO_SUCH_USER', `there is no user "${name}"`);
}

/** As {@link userNamed}; undefined when there is none. */
export async function findUser(
  client: BridgeClient,
  name: string,
  remote: boolean,
): Promise<User | undefined> {
  if (remote && name === 'me') {
    return answerOf(await client.GET('/users/{user}', { params: { path: { user: 'me' } } }));
  }
  return answerOf(await client.GET('/users', { params: { query: { name } } })).users[0];
}

function limitsOf({ quota, maxObjects, maxBuckets, requestRate, byteRate }: LimitOptions) {
  const most = (text: string, parse: (text: string) => number) =>
    text === 'none' ? null : parse(text);
  return {
    quota: {
      ...(quota !== undefined && { bytes: most(quota, parseSize) }),
      ...(maxObjects !== undefined && { objects: most(maxObjects, parseCount) }),
      ...(maxBuckets !== undefined && { buckets: most(maxBuckets, parseCount) }),
    },
    rateLimits: {
      ...(requestRate !== undefined && { requests: parseRate(requestRate, parseNumber) }),
      ...(byteRate !== undefined && { bytes: parseRate(byteRate, parseSize) }),
    },
  };
}

function parseCount(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new CliError('CLI_USAGE', `"${text}" is not a whole number, nor none`);
}

function sayQuota({ bytes, objects, buckets }: User['quota']): string {
  const parts = [
    ...(bytes === null ? [] : [formatSize(bytes)]),
    ...(objects === null ? [] : [`${objects} objects`]),
    ...(buckets === null ? [] : [`${buckets} buckets`]),
  ];
  return parts.length === 0 ? 'none' : parts.join(', ');
}

function sayRate(rate: Rate | null, say: (n: number) => string): string {
  return rate === null ? 'no limit' : `${say(rate.perSecond)}/s, ${say(rate.burst)} at once`;
}

function of(held: string | number, most: string | number | null): string {
  return most === null ? `${held}` : `${held} of ${most}`;
}

/** Asked for twice on a terminal, else a line of stdin. */
async function newPassword(): Promise<string> {
  if (process.stdin.isTTY) return askNewPassword();
  for await (const line of createInterface({ input: process.stdin })) return line;
  throw new CliError('CLI_USAGE', 'a password is a line on stdin, or typed on a terminal');
}
