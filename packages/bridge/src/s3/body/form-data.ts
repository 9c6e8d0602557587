import { Busboy, type BusboyInstance } from '@fastify/busboy';
import { S3Error } from '../s3-error.js';

/** A form whose fields have been read and whose file is still to come. */
export interface Form {
  /** By name in lower case; the first of a name counts. */
  readonly fields: ReadonlyMap<string, string>;
  readonly fileName: string;
  readonly fileType: string | undefined;
  /** The bytes of the file; it throws when the form is cut off. To be read once. */
  readonly file: AsyncIterable<Uint8Array>;
}

/** The most fields of a form. */
const MAX_FIELDS = 100;

/**
 * Read a `multipart/form-data` body up to its field `file`, which has to be the last: what comes behind
 * it is overlooked, as S3 does.
 *
 * @param most - bytes of one field
 * @throws S3Error RequestIsNotMultiPartContent, MalformedPOSTRequest, InvalidArgument, MaxMessageLengthExceeded.
 */
export async function readForm(
  body: AsyncIterable<Uint8Array>,
  contentType: string | undefined,
  most: number,
): Promise<Form> {
  if (contentType === undefined || !/^multipart\/form-data\s*;/i.test(contentType)) {
    throw new S3Error('RequestIsNotMultiPartContent');
  }
  let parser: BusboyInstance;
  try {
    parser = new Busboy({
      headers: { 'content-type': contentType },
      limits: {
        fields: MAX_FIELDS,
        fieldSize: most,
        fieldNameSize: 256,
        files: 1,
        headerPairs: 20,
      },
    });
  } catch (error) {
    throw new S3Error('MalformedPOSTRequest', undefined, { cause: error });
  }
  const fields = new Map<string, string>();
  let size = 0;
  const malformed = (cause?: unknown) => new S3Error('MalformedPOSTRequest', undefined, { cause });
  const source = body[Symbol.asyncIterator]();
  let failure: unknown;
  let resolveForm: (form: Form) => void;
  let rejectForm: (error: unknown) => void;
  const form = new Promise<Form>(
    (resolve, reject) => ([resolveForm, rejectForm] = [resolve, reject]),
  );
  form.catch(() => undefined);
  let hasFile = false;
  const fail = (error: unknown) => {
    failure ??= error;
    rejectForm(failure);
  };
  // The parser has ended, whole or not: a file that was cut off must not pass for a whole one.
  const ended = new Promise<void>((resolve) => {
    parser.once('finish', resolve);
    parser.once('error', (error: unknown) => {
      fail(error instanceof S3Error ? error : malformed(error));
      resolve();
    });
  });
  parser.on('field', (name, value, nameCut, valueCut) => {
    size += name.length + value.length;
    if (nameCut || valueCut || size > most) fail(new S3Error('MaxMessageLengthExceeded'));
    const lower = name.toLowerCase();
    if (!hasFile && !fields.has(lower)) fields.set(lower, value);
  });
  parser.on('fieldsLimit', () => fail(malformed()));
  parser.on('finish', () => {
    if (hasFile) return;
    fail(
      new S3Error('InvalidArgument', 'POST requires exactly one file upload per request.', {
        fields: { ArgumentName: 'file', ArgumentValue: '0' },
      }),
    );
  });
  parser.on('file', (name, file, fileName, _encoding, type) => {
    if (name.toLowerCase() !== 'file' || hasFile) {
      file.resume();
      return;
    }
    hasFile = true;
    file.on('error', (error: unknown) => fail(error));
    resolveForm({
      fields,
      fileName: fileName ?? '',
      fileType: type,
      file: whole(file, ended, () => failure),
    });
  });
  void feed(source, parser, () => failure).catch((error: unknown) => {
    fail(error);
    parser.destroy(error as Error);
  });
  return form;
}

/** Give the parser bytes as it takes them. */
async function feed(
  source: AsyncIterator<Uint8Array>,
  parser: BusboyInstance,
  failureOf: () => unknown,
): Promise<void> {
  for (;;) {
    const next = await source.next();
    if (failureOf() !== undefined) throw failureOf();
    if (next.done === true) break;
    if (!parser.write(Buffer.from(next.value))) {
      await new Promise<void>((resolve) => {
        for (const event of ['drain', 'error', 'close']) parser.once(event, () => resolve());
      });
    }
  }
  parser.end();
}

async function* whole(
  file: AsyncIterable<Uint8Array>,
  ended: Promise<void>,
  failureOf: () => unknown,
): AsyncGenerator<Uint8Array> {
  for await (const part of file) {
    if (failureOf() !== undefined) throw failureOf();
    yield part;
  }
  await ended;
  if (failureOf() !== undefined) throw failureOf();
}
