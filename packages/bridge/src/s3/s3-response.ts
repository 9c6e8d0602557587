import { type XmlElement, writeXml } from './xml-writer.js';

/** An answer, ready to be sent. */
export interface S3Response {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | AsyncIterable<Uint8Array>;
}

/** An answer without a body. */
export function emptyResponse(
  status: number,
  headers: Readonly<Record<string, string>> = {},
): S3Response {
  return { status, headers };
}

/** An answer that is an XML document. */
export function xmlResponse(
  document: XmlElement | string,
  headers: Readonly<Record<string, string>> = {},
): S3Response {
  return {
    status: 200,
    headers: { 'content-type': 'application/xml', ...headers },
    body: typeof document === 'string' ? document : writeXml(document),
  };
}
