import type { ObjectSummary } from '@granary/renter';

/** A line of a listing: an object, or all those whose names go on behind a slash. */
export type Entry =
  | { readonly kind: 'folder'; readonly name: string; readonly prefix: string }
  | { readonly kind: 'object'; readonly name: string; readonly object: ObjectSummary };

/** Objects in order of name (of its UTF-8), as `Renter.list` gives them. */
export type ListObjects = (options: {
  prefix: string;
  after: string;
}) => AsyncIterable<ObjectSummary>;

/** Comes behind every name that begins with what is before it. */
const LAST = '\u{10FFFF}';

/**
 * The entries of a folder in order. What a folder in it has is not read: the listing goes on behind it.
 *
 * @param folder - empty, or a prefix that ends in a slash
 * @param begin - what names in the folder begin with
 * @param after - the name (with its folder) behind which to begin
 */
export async function* entriesOf(
  list: ListObjects,
  folder: string,
  begin = '',
  after = '',
): AsyncGenerator<Entry> {
  const prefix = `${folder}${begin}`;
  let behind = after;
  let last: string | undefined;
  for (;;) {
    let met: string | undefined;
    for await (const object of list({ prefix, after: behind })) {
      const rest = object.name.slice(folder.length);
      const slash = rest.indexOf('/');
      if (slash < 0) {
        yield { kind: 'object', name: rest, object };
        continue;
      }
      met = object.name;
      break;
    }
    if (met === undefined) return;
    const inside = met.slice(0, met.indexOf('/', folder.length) + 1);
    // A name may go on with that very character: then it is passed by itself.
    behind = inside === last ? met : `${inside}${LAST}`;
    if (inside !== last) {
      yield { kind: 'folder', name: inside.slice(folder.length, -1), prefix: inside };
    }
    last = inside;
  }
}

/** Parts of a prefix, each with the prefix up to it. */
export function crumbsOf(prefix: string): { readonly name: string; readonly prefix: string }[] {
  const parts = prefix.split('/').slice(0, -1);
  return parts.map((name, i) => ({ name, prefix: `${parts.slice(0, i + 1).join('/')}/` }));
}
