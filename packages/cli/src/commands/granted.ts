import type { GrantedScope } from '@granary/renter';
import { CliError } from '../cli-error.js';
import type { Context } from '../context.js';
import { readGrant } from '../given-grant.js';
import { parseRemotePath } from '../remote-path.js';
import { checkFree, listObjects } from './objects.js';
import { type GetCommandOptions, readerParts, writeReadable } from './readable.js';

/** Sign in by an access grant, do something, and leave. Needs no keys, and leaves none. */
async function withGrant(
  context: Context,
  given: string,
  work: (scope: GrantedScope) => Promise<void>,
): Promise<void> {
  const { openGrant } = await import('@granary/renter');
  const scope = await openGrant(await readGrant(given), readerParts(context));
  try {
    await work(scope);
  } finally {
    await scope.close();
  }
}

/** `granary get --grant` and `granary cat --grant` */
export async function getGranted(
  context: Context,
  given: string,
  remote: string,
  file: string | undefined,
  options: GetCommandOptions,
): Promise<void> {
  const { bucket, name } = parseRemotePath(remote);
  if (file !== undefined) await checkFree(file, options.force);
  const begun = Date.now();
  await withGrant(context, given, async (scope) => {
    checkBucketOf(scope, bucket);
    const { size, sha256 } = scope.head(name);
    const { expires } = scope.info;
    const readable = {
      name,
      size,
      sha256,
      expires,
      read: (how: Parameters<typeof scope.get>[1]) => scope.get(name, how),
      readToFile: (target: string, how: Parameters<typeof scope.getToFile>[2]) =>
        scope.getToFile(name, target, how),
    };
    await writeReadable(context, readable, file, options, begun);
  });
}

/** `granary ls --grant` */
export async function lsGranted(
  context: Context,
  given: string,
  remote: string | undefined,
): Promise<void> {
  const { output } = context;
  await withGrant(context, given, async (scope) => {
    const { bucket, prefix } = scope.info;
    if (remote === undefined) {
      output.result(scope.info);
      output.line(`${bucket}/${prefix}`);
      return;
    }
    const slash = remote.indexOf('/');
    checkBucketOf(scope, slash < 0 ? remote : remote.slice(0, slash));
    const wanted = slash < 0 ? '' : remote.slice(slash + 1);
    await listObjects(output, bucket, scope.list({ prefix: wanted }));
  });
}

/** @throws CliError CLI_NOT_FOUND when the grant is of another bucket. */
function checkBucketOf({ info }: GrantedScope, bucket: string): void {
  if (bucket === info.bucket) return;
  throw new CliError(
    'CLI_NOT_FOUND',
    `the access grant is of ${info.bucket}/${info.prefix}, not of ${bucket}`,
  );
}
