/**
 * The header fields of a request as they came: names in lower case, values as Latin-1 strings (one
 * character a byte), which is what signatures are made over.
 */
export class HeaderList {
  private constructor(private readonly fields: ReadonlyMap<string, readonly string[]>) {}

  /** From names and values in turn, as Node's `rawHeaders` has them. */
  static fromRaw(raw: readonly string[]): HeaderList {
    const fields = new Map<string, string[]>();
    for (let i = 0; i + 1 < raw.length; i += 2) {
      const name = raw[i]!.toLowerCase();
      const values = fields.get(name);
      if (values === undefined) fields.set(name, [raw[i + 1]!]);
      else values.push(raw[i + 1]!);
    }
    return new HeaderList(fields);
  }

  /** From a record; for tests and for requests that are made up. */
  static from(record: Readonly<Record<string, string | readonly string[]>>): HeaderList {
    return HeaderList.fromRaw(
      Object.entries(record).flatMap(([name, value]) =>
        (typeof value === 'string' ? [value] : value).flatMap((one) => [name, one]),
      ),
    );
  }

  /** Names, in the order they first came. */
  names(): Iterable<string> {
    return this.fields.keys();
  }

  /** Every value of a field, in order. */
  all(name: string): readonly string[] {
    return this.fields.get(name) ?? [];
  }

  /** A field's value; several are joined by commas (RFC 9110, 5.3). */
  get(name: string): string | undefined {
    const values = this.fields.get(name);
    return values === undefined ? undefined : values.join(',');
  }

  /** A field's value as UTF-8 text. Bytes that are not UTF-8 are taken as Latin-1. */
  text(name: string): string | undefined {
    const value = this.get(name);
    return value === undefined ? undefined : latin1ToText(value);
  }

  has(name: string): boolean {
    return this.fields.has(name);
  }
}

/** Bytes as a Latin-1 string to text: UTF-8 where they are that, else as they are. */
export function latin1ToText(value: string): string {
  // eslint-disable-next-line no-control-regex
  if (!/[^\u0000-\u007f]/.test(value)) return value;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(value, 'latin1'));
  } catch {
    return value;
  }
}
