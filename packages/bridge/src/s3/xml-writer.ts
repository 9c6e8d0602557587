/** What an XML element holds: text, or child elements in order. `undefined` children are left out. */
export type XmlContent =
  | string
  | number
  | boolean
  | readonly (XmlElement | undefined | readonly (XmlElement | undefined)[])[];

/** An element to be written. */
export interface XmlElement {
  readonly name: string;
  readonly attributes?: Readonly<Record<string, string>>;
  readonly content: XmlContent;
}

/** The namespace of S3's documents. */
export const S3_NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';

/** Make an element. */
export function xml(
  name: string,
  content: XmlContent = [],
  attributes?: Readonly<Record<string, string>>,
): XmlElement {
  return { name, content, ...(attributes !== undefined && { attributes }) };
}

/** Make an element unless its content is undefined. */
export function optional(
  name: string,
  content: string | number | boolean | undefined,
): XmlElement | undefined {
  return content === undefined ? undefined : xml(name, content);
}

/** Write a whole document. */
export function writeXml(root: XmlElement): string {
  const parts = ['<?xml version="1.0" encoding="UTF-8"?>\n'];
  writeElement(root, parts);
  return parts.join('');
}

function writeElement({ name, attributes, content }: XmlElement, parts: string[]): void {
  parts.push('<', name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    parts.push(' ', key, '="', escapeXml(value), '"');
  }
  if (Array.isArray(content) && content.length === 0) {
    parts.push('/>');
    return;
  }
  parts.push('>');
  if (typeof content !== 'object') parts.push(escapeXml(String(content)));
  else {
    for (const child of content.flat()) {
      if (child !== undefined) writeElement(child as XmlElement, parts);
    }
  }
  parts.push('</', name, '>');
}

const NAMED: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};

/**
 * Escape text. Control characters become numeric references, as S3 writes them; XML 1.0 has no
 * better way to say them, which is what `encoding-type=url` is for.
 */
export function escapeXml(text: string): string {
  return text.replace(
    // eslint-disable-next-line no-control-regex
    /[&<>"\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\ufffe\uffff]/g,
    (character) => NAMED[character] ?? `&#x${character.charCodeAt(0).toString(16)};`,
  );
}
