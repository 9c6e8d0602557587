import { S3Error, invalidArgument } from './s3-error.js';
import { uriDecode } from './uri-encoding.js';
import { type XmlNode, readXml } from './xml-reader.js';
import { S3_NAMESPACE, writeXml, xml } from './xml-writer.js';

/** Tags of an object or a bucket. */
export type Tags = Readonly<Record<string, string>>;

/** The most tags of an object; a bucket may have 50. */
export const MAX_OBJECT_TAGS = 10;
/** The most tags of a bucket. */
export const MAX_BUCKET_TAGS = 50;

/** Read the header `x-amz-tagging`: tags as parameters of a query. @throws S3Error InvalidArgument, InvalidTag. */
export function parseTagHeader(header: string | undefined): Tags {
  if (header === undefined || header === '') return {};
  const pairs = header.split('&').map((part) => {
    const equals = part.indexOf('=');
    const name = uriDecode((equals < 0 ? part : part.slice(0, equals)).replaceAll('+', ' '));
    const value = equals < 0 ? '' : uriDecode(part.slice(equals + 1).replaceAll('+', ' '));
    if (name === undefined || value === undefined) {
      throw invalidArgument(
        'x-amz-tagging',
        header.slice(0, 100),
        "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
      );
    }
    return [name, value] as const;
  });
  return checkTags(pairs, MAX_OBJECT_TAGS);
}

/** Read a `Tagging` document. @throws S3Error MalformedXML, InvalidTag. */
export function readTagging(bytes: Uint8Array, most: number): Tags {
  const set = readXml(bytes, 'Tagging').child('TagSet');
  if (set === undefined) throw new S3Error('MalformedXML', '<Tagging> lacks its <TagSet>.');
  return readTagNodes(set.all('Tag'), most);
}

/** Read `Tag` elements. @throws S3Error MalformedXML, InvalidTag. */
export function readTagNodes(nodes: readonly XmlNode[], most: number): Tags {
  return checkTags(
    nodes.map((tag) => {
      const [key, value] = [tag.child('Key'), tag.child('Value')];
      if (key === undefined || value === undefined) {
        throw new S3Error('MalformedXML', 'A <Tag> has a <Key> and a <Value>.');
      }
      return [key.text, value.text] as const;
    }),
    most,
  );
}

/** Write a `Tagging` document. */
export function writeTagging(tags: Tags): string {
  const all = Object.entries(tags).map(([key, value]) =>
    xml('Tag', [xml('Key', key), xml('Value', value)]),
  );
  return writeXml(xml('Tagging', [xml('TagSet', all)], { xmlns: S3_NAMESPACE }));
}

function checkTags(pairs: readonly (readonly [string, string])[], most: number): Tags {
  if (pairs.length > most) {
    throw new S3Error(
      most === MAX_OBJECT_TAGS ? 'BadRequest' : 'InvalidTag',
      `There can be no more than ${most} tags`,
    );
  }
  const tags = new Map<string, string>();
  for (const [key, value] of pairs) {
    const bad = (why: string) =>
      new S3Error('InvalidTag', why, { fields: { TagKey: key.slice(0, 128) } });
    if (key.length < 1 || key.length > 128) throw bad('A tag key has 1 to 128 characters');
    if (value.length > 256) throw bad('A tag value has at most 256 characters');
    if (key.startsWith('aws:')) throw bad('System tags cannot be added/updated by requester');
    if (
      !/^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u.test(key) ||
      !/^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u.test(value)
    ) {
      throw bad('Tags hold letters, digits, spaces and _ . : / = + - @');
    }
    if (tags.has(key)) throw bad('Cannot provide multiple Tags with the same key');
    tags.set(key, value);
  }
  return Object.fromEntries(tags);
}
