import type { Right } from '@granary/bridge';
import { type BridgeClient, type components, answerOf } from '@granary/bridge/client';
import { type BridgeTargetOptions, withBridge } from '../bridge-client-context.js';
import { CliError } from '../cli-error.js';
import type { Context } from '../context.js';
import { printable, table } from '../output.js';
import { parseDuration } from '../units.js';
import { type User, everyUser, findUser, userNamed } from './bridge-users.js';

type AccessKey = components['schemas']['AccessKey'];
type Scope = components['schemas']['Scope'];

/** Options of `granary access-keys list`. */
export interface ListKeysOptions extends BridgeTargetOptions {
  readonly user?: string;
}

/** Options that say what a key is good for. */
interface KeyOptions extends BridgeTargetOptions {
  readonly buckets?: string[];
  readonly prefix?: string[];
  readonly rights?: string;
  readonly expires?: string;
  readonly description?: string;
}

/** Options of `granary access-keys add`. */
export interface AddKeyOptions extends KeyOptions {
  readonly user: string;
}

/** Options of `granary access-keys change`. */
export interface ChangeKeyOptions extends KeyOptions {
  readonly disable?: boolean;
  readonly enable?: boolean;
}

/** An access key with its secret, which is shown when it is made and never again. */
export interface NewKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** Make an access key of a user. */
export async function makeKey(
  client: BridgeClient,
  userId: string,
  body: components['schemas']['NewAccessKey'],
): Promise<NewKey> {
  const params = { path: { user: userId } };
  const key = answerOf(await client.POST('/users/{user}/access-keys', { params, body }));
  return { accessKeyId: key.id, secretAccessKey: key.secret };
}

/** `granary access-keys add`: make an access key, and its user when there is none of the name. */
export async function addKey(context: Context, options: AddKeyOptions): Promise<void> {
  const scope = (await scopeOf(options)) ?? null;
  const expires = expiryOf(options) ?? null;
  const name = options.user;
  await withBridge(context, options, async ({ client, remote }) => {
    const user =
      (await findUser(client, name, remote)) ??
      answerOf(await client.POST('/users', { body: { name } }));
    const key = await makeKey(client, user.id, {
      scope,
      expires,
      description: options.description ?? '',
    });
    context.output.result({ ...key, user: user.name, scope, expires });
    context.output.line(`A key of ${printable(user.name)}; its secret is not shown again:\n`);
    context.output.line(`  access key ID      ${key.accessKeyId}`);
    context.output.line(`  secret access key  ${key.secretAccessKey}`);
  });
}

/** `granary access-keys list`: users, their keys, and what these are good for. */
export async function listKeys(context: Context, options: ListKeysOptions): Promise<void> {
  await withBridge(context, options, async ({ client, remote }) => {
    const rows: { user: User; key: AccessKey }[] = [];
    const { user: name } = options;
    const users = name === undefined ? everyUser(client) : [await userNamed(client, name, remote)];
    for await (const user of users) {
      for await (const key of everyKey(client, user.id)) rows.push({ user, key });
    }
    for (const { user, key } of rows) {
      const { id, created, expires, disabled, description, scope } = key;
      context.output.result({
        user: user.name,
        id,
        created,
        expires,
        disabled,
        description,
        scope,
      });
    }
    context.output.line(
      table([
        ['user', 'access key ID', 'good for', 'until', 'description'],
        ...rows.map(({ user, key }) => [
          printable(user.name),
          key.id,
          key.disabled || user.disabled ? 'nothing: disabled' : printable(sayScope(key.scope)),
          key.expires === null ? 'no end' : key.expires.slice(0, 16),
          printable(key.description),
        ]),
      ]),
    );
  });
}

/** `granary access-keys change`: limit a key, disable it, have it end. */
export async function changeKey(
  context: Context,
  id: string,
  options: ChangeKeyOptions,
): Promise<void> {
  const { disable, enable, description } = options;
  if (disable === true && enable === true) {
    throw new CliError('CLI_USAGE', '--disable and --enable exclude each other');
  }
  const scope = await scopeOf(options);
  const expires = expiryOf(options);
  const body = {
    ...(scope !== undefined && { scope }),
    ...(expires !== undefined && { expires }),
    ...(disable === true && { disabled: true }),
    ...(enable === true && { disabled: false }),
    ...(description !== undefined && { description }),
  };
  if (Object.keys(body).length === 0) {
    throw new CliError('CLI_USAGE', 'nothing to change: see granary access-keys change --help');
  }
  await withBridge(context, options, async ({ client }) => {
    const params = { path: { id } };
    const key = answerOf(await client.PATCH('/access-keys/{id}', { params, body }));
    context.output.result(key);
    context.output.line(
      `Changed ${key.id}: good for ${key.disabled ? 'nothing: disabled' : printable(sayScope(key.scope))}.`,
    );
  });
}

/** `granary access-keys remove`: a key is good for nothing from now on. */
export async function removeKey(
  context: Context,
  id: string,
  options: BridgeTargetOptions,
): Promise<void> {
  await withBridge(context, options, async ({ client }) => {
    answerOf(await client.DELETE('/access-keys/{id}', { params: { path: { id } } }));
    context.output.result({ removed: id });
    context.output.line(`Removed ${printable(id)}.`);
  });
}

async function* everyKey(client: BridgeClient, user: string): AsyncGenerator<AccessKey> {
  for (let after: string | undefined; ;) {
    const params = { path: { user }, query: after === undefined ? {} : { after } };
    const page = answerOf(await client.GET('/users/{user}/access-keys', { params }));
    yield* page.accessKeys;
    if (page.next === null) return;
    after = page.next;
  }
}

/** When a key is to end; undefined: not said; null: never. */
function expiryOf({ expires }: KeyOptions): string | null | undefined {
  if (expires === undefined) return undefined;
  return expires === 'never' ? null : new Date(Date.now() + parseDuration(expires)).toISOString();
}

async function scopeOf({ buckets, prefix, rights }: KeyOptions): Promise<Scope | undefined> {
  const { RIGHTS } = await import('@granary/bridge');
  const list = rights?.split(',').map((right) => right.trim());
  const wrong = list?.find((right) => !RIGHTS.includes(right as Right));
  if (wrong !== undefined) {
    throw new CliError('CLI_USAGE', `--rights ${wrong}: there are ${RIGHTS.join(', ')}`);
  }
  if (buckets === undefined && prefix === undefined && list === undefined) return undefined;
  return {
    ...(buckets !== undefined && { buckets }),
    ...(prefix !== undefined && { prefixes: prefix }),
    ...(list !== undefined && { rights: list as Right[] }),
  };
}

function sayScope(scope: AccessKey['scope']): string {
  if (scope === null) return 'all';
  const { buckets, prefixes, rights } = scope;
  return [
    rights?.join(',') ?? 'all',
    ...(buckets === undefined ? [] : [`in ${buckets.join(' ')}`]),
    ...(prefixes === undefined ? [] : [`under ${prefixes.join(' ')}`]),
  ].join(' ');
}
