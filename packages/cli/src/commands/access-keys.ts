import { randomBytes } from 'node:crypto';
import type { AccessKey, KeyScope, MetadataStore, Right, User } from '@granary/bridge';
import { type BridgeDatabaseOptions, withMetadata } from '../bridge-context.js';
import { CliError } from '../cli-error.js';
import type { Context } from '../context.js';
import { printable, table } from '../output.js';
import { parseDuration } from '../units.js';

/** Options of `granary access-keys add`. */
export interface AddKeyOptions extends BridgeDatabaseOptions {
  readonly user: string;
  readonly buckets?: string[];
  readonly prefix?: string[];
  readonly rights?: string;
  readonly expires?: string;
  readonly description?: string;
}

/** An access key with its secret, which is shown when it is made and never again. */
export interface NewKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const NO_QUOTA = { bytes: null, objects: null, buckets: null };
/** 20 characters, none of which looks like another. */
const ALPHABET = 'ABCDEFGHJKLMNPQRSTUVWXYZ23456789';

/** Make an access key of a user. */
export async function makeKey(
  metadata: MetadataStore,
  user: User,
  rest: Pick<AccessKey, 'scope' | 'expires' | 'description'>,
): Promise<NewKey> {
  const letters = [...randomBytes(18)].map((byte) => ALPHABET[byte % ALPHABET.length]);
  const accessKeyId = `GR${letters.join('')}`;
  const secretAccessKey = randomBytes(30).toString('base64url');
  await metadata.createAccessKey({
    id: accessKeyId,
    secret: secretAccessKey,
    userId: user.id,
    disabled: false,
    ...rest,
  });
  return { accessKeyId, secretAccessKey };
}

/** Make a user of a bridge. */
export function makeUser(metadata: MetadataStore, name: string, admin: boolean): Promise<User> {
  return metadata.createUser({
    name,
    admin,
    disabled: false,
    passwordHash: null,
    quota: NO_QUOTA,
    attributes: {},
  });
}

/** `granary access-keys add`: make an access key, and its user when there is none of the name. */
export async function addKey(context: Context, options: AddKeyOptions): Promise<void> {
  const scope = await scopeOf(options);
  const expires =
    options.expires === undefined ? null : Date.now() + parseDuration(options.expires);
  await withMetadata(context, options, async (metadata) => {
    const user =
      (await metadata.userByName(options.user)) ?? (await makeUser(metadata, options.user, false));
    const key = await makeKey(metadata, user, {
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
export async function listKeys(context: Context, options: BridgeDatabaseOptions): Promise<void> {
  await withMetadata(context, options, async (metadata) => {
    const rows: { user: User; key: AccessKey }[] = [];
    for await (const user of everyUser(metadata)) {
      for (const key of await metadata.listAccessKeys(user.id, { limit: 1000 })) {
        rows.push({ user, key });
      }
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
          key.expires === null ? 'no end' : new Date(key.expires).toISOString().slice(0, 16),
          printable(key.description),
        ]),
      ]),
    );
  });
}

/** `granary access-keys remove`: a key is good for nothing from now on. */
export async function removeKey(
  context: Context,
  id: string,
  options: BridgeDatabaseOptions,
): Promise<void> {
  await withMetadata(context, options, async (metadata) => {
    await metadata.deleteAccessKey(id);
    context.output.result({ removed: id });
    context.output.line(`Removed ${printable(id)}.`);
  });
}

async function* everyUser(metadata: MetadataStore): AsyncGenerator<User> {
  for (let after: string | undefined; ;) {
    const page = await metadata.listUsers({ limit: 1000, ...(after !== undefined && { after }) });
    yield* page;
    if (page.length < 1000) return;
    after = page.at(-1)!.name;
  }
}

async function scopeOf({ buckets, prefix, rights }: AddKeyOptions): Promise<KeyScope | null> {
  const { RIGHTS } = await import('@granary/bridge');
  const list = rights?.split(',').map((right) => right.trim());
  const wrong = list?.find((right) => !RIGHTS.includes(right as Right));
  if (wrong !== undefined) {
    throw new CliError('CLI_USAGE', `--rights ${wrong}: there are ${RIGHTS.join(', ')}`);
  }
  if (buckets === undefined && prefix === undefined && list === undefined) return null;
  return {
    ...(buckets !== undefined && { buckets }),
    ...(prefix !== undefined && { prefixes: prefix }),
    ...(list !== undefined && { rights: list as Right[] }),
  };
}

function sayScope(stored: unknown): string {
  if (stored === null || stored === undefined) return 'all';
  const { buckets, prefixes, rights } = stored as KeyScope;
  return [
    rights?.join(',') ?? 'all',
    ...(buckets === undefined ? [] : [`in ${buckets.join(' ')}`]),
    ...(prefixes === undefined ? [] : [`under ${prefixes.join(' ')}`]),
  ].join(' ');
}
