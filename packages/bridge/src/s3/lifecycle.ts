import { isoDate } from './http-date.js';
import { S3Error, notImplemented } from './s3-error.js';
import { type Tags, readTagNodes } from './tags.js';
import { type XmlNode, readXml } from './xml-reader.js';
import { S3_NAMESPACE, optional, writeXml, xml } from './xml-writer.js';

/** What a rule is about: everything of this must hold. */
export interface LifecycleFilter {
  readonly prefix: string;
  readonly tags: Tags;
  /** Bytes; objects must be larger, and smaller. */
  readonly largerThan?: number;
  readonly smallerThan?: number;
}

/** A rule of a lifecycle configuration. Days are counted from midnight UTC after the event. */
export interface LifecycleRule {
  readonly id: string;
  readonly enabled: boolean;
  readonly filter: LifecycleFilter;
  /** Current versions end so many days after they were written, or at this time (ms). */
  readonly expireDays?: number;
  readonly expireAt?: number;
  /** Delete markers that have no versions behind them go. */
  readonly expireMarkers?: boolean;
  /** Old versions go so many days after they were replaced, but for the newest so many. */
  readonly noncurrentDays?: number;
  readonly noncurrentKeep?: number;
  /** Unfinished uploads are aborted so many days after they began. */
  readonly abortDays?: number;
}

const MAX_RULES = 1000;
const DAY = 24 * 3600 * 1000;

/** Read a `LifecycleConfiguration`. @throws S3Error MalformedXML, InvalidArgument, NotImplemented. */
export function readLifecycle(bytes: Uint8Array): LifecycleRule[] {
  const nodes = readXml(bytes, ['LifecycleConfiguration', 'BucketLifecycleConfiguration']).all(
    'Rule',
  );
  if (nodes.length === 0 || nodes.length > MAX_RULES) {
    throw new S3Error('MalformedXML', `A LifecycleConfiguration has 1 to ${MAX_RULES} rules.`);
  }
  const rules = nodes.map((node, i) => readRule(node, i));
  if (new Set(rules.map(({ id }) => id)).size < rules.length) {
    throw new S3Error(
      'InvalidArgument',
      'Rule ID must be unique. Found same ID for more than one rule',
    );
  }
  return rules;
}

function readRule(node: XmlNode, index: number): LifecycleRule {
  for (const name of ['Transition', 'NoncurrentVersionTransition']) {
    if (node.child(name) !== undefined) throw notImplemented(`A lifecycle rule with <${name}>`);
  }
  const status = node.required('Status');
  if (status !== 'Enabled' && status !== 'Disabled') throw new S3Error('MalformedXML');
  const id = node.textOf('ID') || `rule-${index + 1}`;
  if (id.length > 255)
    throw new S3Error('InvalidArgument', 'ID length should not exceed allowed limit of 255');
  const expiration = node.child('Expiration');
  const noncurrent = node.child('NoncurrentVersionExpiration');
  const abort = node.child('AbortIncompleteMultipartUpload');
  const expireDays = daysOf(expiration, 'Days');
  const date = expiration?.textOf('Date');
  const marker = expiration?.textOf('ExpiredObjectDeleteMarker');
  const noncurrentDays = daysOf(noncurrent, 'NoncurrentDays');
  const keep = daysOf(noncurrent, 'NewerNoncurrentVersions');
  const abortDays = daysOf(abort, 'DaysAfterInitiation');
  const expireAt = date === undefined ? undefined : Date.parse(date);
  if (expireAt !== undefined && (Number.isNaN(expireAt) || expireAt % DAY !== 0)) {
    throw new S3Error('InvalidArgument', "'Date' must be at midnight GMT");
  }
  const said = [expireDays, expireAt, marker].filter((value) => value !== undefined).length;
  if (
    (expiration !== undefined && said !== 1) ||
    (noncurrent !== undefined && noncurrentDays === undefined)
  ) {
    throw new S3Error('MalformedXML');
  }
  if (expiration === undefined && noncurrent === undefined && abortDays === undefined) {
    throw new S3Error('InvalidRequest', 'At least one action needs to be specified in a rule');
  }
  return {
    id,
    enabled: status === 'Enabled',
    filter: readFilter(node),
    ...(expireDays !== undefined && { expireDays }),
    ...(expireAt !== undefined && { expireAt }),
    ...(marker === 'true' && { expireMarkers: true }),
    ...(noncurrentDays !== undefined && { noncurrentDays }),
    ...(keep !== undefined && { noncurrentKeep: keep }),
    ...(abortDays !== undefined && { abortDays }),
  };
}

function readFilter(rule: XmlNode): LifecycleFilter {
  const filter = rule.child('Filter');
  const old = rule.textOf('Prefix');
  if (filter !== undefined && old !== undefined) throw new S3Error('MalformedXML');
  if (filter === undefined) {
    if (old === undefined)
      throw new S3Error('MalformedXML', 'A <Rule> has a <Filter> or a <Prefix>.');
    return { prefix: old, tags: {} };
  }
  if (filter.child('And') === undefined && filter.children.length > 1) {
    throw new S3Error('MalformedXML', 'Several conditions of a <Filter> go into an <And>.');
  }
  const from = filter.child('And') ?? filter;
  const size = (name: string) => {
    const text = from.textOf(name);
    if (text !== undefined && !/^\d{1,15}$/.test(text)) throw new S3Error('MalformedXML');
    return text === undefined ? undefined : Number(text);
  };
  const [largerThan, smallerThan] = [size('ObjectSizeGreaterThan'), size('ObjectSizeLessThan')];
  return {
    prefix: from.child('Prefix')?.text ?? '',
    tags: readTagNodes(from.all('Tag'), 10),
    ...(largerThan !== undefined && { largerThan }),
    ...(smallerThan !== undefined && { smallerThan }),
  };
}

function daysOf(node: XmlNode | undefined, name: string): number | undefined {
  const text = node?.textOf(name);
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/.test(text)) throw new S3Error('MalformedXML');
  if (Number(text) < 1)
    throw new S3Error('InvalidArgument', `'${name}' must be a positive integer`);
  return Number(text);
}

/** Write a `LifecycleConfiguration`. */
export function writeLifecycle(rules: readonly LifecycleRule[]): string {
  const written = rules.map((rule) => {
    const { prefix, tags, largerThan, smallerThan } = rule.filter;
    const parts = [
      ...(prefix === '' ? [] : [xml('Prefix', prefix)]),
      ...Object.entries(tags).map(([key, value]) =>
        xml('Tag', [xml('Key', key), xml('Value', value)]),
      ),
      ...(largerThan === undefined ? [] : [xml('ObjectSizeGreaterThan', largerThan)]),
      ...(smallerThan === undefined ? [] : [xml('ObjectSizeLessThan', smallerThan)]),
    ];
    const expires =
      rule.expireDays !== undefined || rule.expireAt !== undefined || rule.expireMarkers === true;
    return xml('Rule', [
      xml('ID', rule.id),
      xml(
        'Filter',
        parts.length > 1 ? [xml('And', parts)] : parts.length === 0 ? [xml('Prefix', '')] : parts,
      ),
      xml('Status', rule.enabled ? 'Enabled' : 'Disabled'),
      expires
        ? xml('Expiration', [
            optional('Days', rule.expireDays),
            rule.expireAt === undefined ? undefined : xml('Date', isoDate(rule.expireAt)),
            optional('ExpiredObjectDeleteMarker', rule.expireMarkers),
          ])
        : undefined,
      rule.noncurrentDays === undefined
        ? undefined
        : xml('NoncurrentVersionExpiration', [
            xml('NoncurrentDays', rule.noncurrentDays),
            optional('NewerNoncurrentVersions', rule.noncurrentKeep),
          ]),
      rule.abortDays === undefined
        ? undefined
        : xml('AbortIncompleteMultipartUpload', [xml('DaysAfterInitiation', rule.abortDays)]),
    ]);
  });
  return writeXml(xml('LifecycleConfiguration', written, { xmlns: S3_NAMESPACE }));
}

/** What of an object a rule looks at. */
export interface LifecycleSubject {
  readonly key: string;
  readonly size: number;
  readonly tags: Tags;
  /** Milliseconds since the epoch. */
  readonly modified: number;
}

/**
 * When the current version of an object ends and by which rule: the earliest counts.
 *
 * @returns undefined where no rule ends it
 */
export function expiryOf(
  rules: readonly LifecycleRule[],
  subject: LifecycleSubject,
): { readonly at: number; readonly rule: string } | undefined {
  let first: { at: number; rule: string } | undefined;
  for (const rule of rules) {
    if (!rule.enabled || !covers(rule.filter, subject)) continue;
    const at =
      rule.expireAt ??
      (rule.expireDays === undefined ? undefined : daysAfter(subject.modified, rule.expireDays));
    if (at !== undefined && (first === undefined || at < first.at)) first = { at, rule: rule.id };
  }
  return first;
}

/** Whether a rule is about an object. */
export function covers(
  { prefix, tags, largerThan, smallerThan }: LifecycleFilter,
  subject: Pick<LifecycleSubject, 'key' | 'size' | 'tags'>,
): boolean {
  return (
    subject.key.startsWith(prefix) &&
    Object.entries(tags).every(([key, value]) => subject.tags[key] === value) &&
    (largerThan === undefined || subject.size > largerThan) &&
    (smallerThan === undefined || subject.size < smallerThan)
  );
}

/** Midnight UTC that follows so many days after a time, as S3 counts. */
export function daysAfter(time: number, days: number): number {
  return Math.ceil((time + days * DAY) / DAY) * DAY;
}
