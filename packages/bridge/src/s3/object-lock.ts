import type { Retention } from '../metadata/records.js';
import type { HeaderList } from './header-list.js';
import { isoDate } from './http-date.js';
import { S3Error, invalidArgument } from './s3-error.js';
import { readXml } from './xml-reader.js';
import { S3_NAMESPACE, optional, writeXml, xml } from './xml-writer.js';

/** How long new versions of a bucket are kept unless they say otherwise. */
export interface DefaultRetention {
  readonly mode: Retention['mode'];
  readonly days?: number;
  readonly years?: number;
}

/** What a request says of the lock of what it writes. */
export interface LockHeaders {
  readonly retention?: Retention;
  readonly legalHold?: boolean;
}

const DAY = 24 * 3600 * 1000;

/** Read the lock headers of a write. @throws S3Error InvalidArgument, InvalidRequest. */
export function lockHeaders(headers: HeaderList, now: number): LockHeaders {
  const mode = headers.get('x-amz-object-lock-mode');
  const until = headers.get('x-amz-object-lock-retain-until-date');
  const hold = headers.get('x-amz-object-lock-legal-hold');
  if ((mode === undefined) !== (until === undefined)) {
    throw new S3Error(
      'InvalidArgument',
      'x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied',
    );
  }
  if (hold !== undefined && hold !== 'ON' && hold !== 'OFF') {
    throw invalidArgument(
      'x-amz-object-lock-legal-hold',
      hold.slice(0, 20),
      'Legal hold status must be either of ON or OFF',
    );
  }
  return {
    ...(mode !== undefined && { retention: retentionOf(mode, until!, now) }),
    ...(hold !== undefined && { legalHold: hold === 'ON' }),
  };
}

/** When a version that is written now may go by its bucket's default. */
export function defaultRetention(
  rule: DefaultRetention | undefined,
  now: number,
): Retention | null {
  if (rule === undefined) return null;
  const until = new Date(now);
  if (rule.years !== undefined) until.setUTCFullYear(until.getUTCFullYear() + rule.years);
  return { mode: rule.mode, until: until.getTime() + (rule.days ?? 0) * DAY };
}

/** Read an `ObjectLockConfiguration`. @throws S3Error MalformedXML, InvalidArgument. */
export function readLockConfiguration(bytes: Uint8Array): DefaultRetention | undefined {
  const root = readXml(bytes, 'ObjectLockConfiguration');
  if (root.textOf('ObjectLockEnabled') !== 'Enabled') throw new S3Error('MalformedXML');
  const rule = root.child('Rule');
  if (rule === undefined) return undefined;
  const retention = rule.child('DefaultRetention');
  if (retention === undefined) throw new S3Error('MalformedXML');
  const mode = modeOf(retention.required('Mode'));
  const [days, years] = [retention.textOf('Days'), retention.textOf('Years')];
  if ((days === undefined) === (years === undefined)) throw new S3Error('MalformedXML');
  const count = Number(days ?? years);
  if (
    !/^\d{1,5}$/.test(days ?? years!) ||
    count < 1 ||
    count > (days === undefined ? 100 : 36_500)
  ) {
    throw new S3Error(
      'InvalidArgument',
      'Default retention period must be a positive integer value, at most 100 years',
    );
  }
  return { mode, ...(days === undefined ? { years: count } : { days: count }) };
}

/** Write an `ObjectLockConfiguration`. */
export function writeLockConfiguration(rule: DefaultRetention | undefined): string {
  return writeXml(
    xml(
      'ObjectLockConfiguration',
      [
        xml('ObjectLockEnabled', 'Enabled'),
        rule === undefined
          ? undefined
          : xml('Rule', [
              xml('DefaultRetention', [
                xml('Mode', rule.mode),
                optional('Days', rule.days),
                optional('Years', rule.years),
              ]),
            ]),
      ],
      { xmlns: S3_NAMESPACE },
    ),
  );
}

/** Read a `Retention`; null where it is empty, which takes a retention away. @throws S3Error MalformedXML, InvalidArgument. */
export function readRetention(bytes: Uint8Array, now: number): Retention | null {
  const root = readXml(bytes, 'Retention');
  if (root.children.length === 0) return null;
  return retentionOf(root.required('Mode'), root.required('RetainUntilDate'), now);
}

/** Write a `Retention`. */
export function writeRetention({ mode, until }: Retention): string {
  return writeXml(
    xml('Retention', [xml('Mode', mode), xml('RetainUntilDate', isoDate(until))], {
      xmlns: S3_NAMESPACE,
    }),
  );
}

/** Read a `LegalHold`. @throws S3Error MalformedXML. */
export function readLegalHold(bytes: Uint8Array): boolean {
  const status = readXml(bytes, 'LegalHold').required('Status');
  if (status !== 'ON' && status !== 'OFF') throw new S3Error('MalformedXML');
  return status === 'ON';
}

/** Write a `LegalHold`. */
export function writeLegalHold(on: boolean): string {
  return writeXml(xml('LegalHold', [xml('Status', on ? 'ON' : 'OFF')], { xmlns: S3_NAMESPACE }));
}

function retentionOf(mode: string, until: string, now: number): Retention {
  const time = Date.parse(until);
  if (Number.isNaN(time)) {
    throw invalidArgument(
      'RetainUntilDate',
      until.slice(0, 50),
      'The retain until date must be provided in ISO 8601 format',
    );
  }
  if (time <= now) {
    throw invalidArgument(
      'RetainUntilDate',
      until.slice(0, 50),
      'The retain until date must be in the future!',
    );
  }
  return { mode: modeOf(mode), until: time };
}

function modeOf(text: string): Retention['mode'] {
  if (text === 'GOVERNANCE' || text === 'COMPLIANCE') return text;
  throw new S3Error('InvalidArgument', 'Unknown WORM mode directive.');
}
