import { SaxesParser } from 'saxes';
import { NatError } from '../errors.js';

/** An element of a small document: names without prefixes, no attributes. */
export interface XmlElement {
  readonly name: string;
  readonly children: readonly XmlElement[];
  /** All text directly in it. */
  readonly text: string;
}

/** The most levels, elements, and characters of text in one element. */
const MAX_DEPTH = 32;
const MAX_ELEMENTS = 4_096;
const MAX_TEXT = 4_096;
/** The most characters of a document. What reads it from the network has a limit, too. */
export const MAX_XML_LENGTH = 256 * 1024;

/**
 * Parse a small document of a router. There are no entities but the five of XML and numbers: a
 * document type, where others could be declared, is refused before any of it is read.
 *
 * @throws NatError NAT_BAD_ANSWER when it is not well-formed or has a document type; NAT_TOO_LARGE.
 */
export function parseXml(text: string): XmlElement {
  if (text.length > MAX_XML_LENGTH) throw tooLarge(`${text.length} characters`);
  const root = { name: '', children: [] as XmlElement[], text: '' };
  const open: { name: string; children: XmlElement[]; text: string }[] = [root];
  let count = 0;
  const parser = new SaxesParser({ xmlns: false, position: false });
  const addText = (more: string) => {
    const element = open.at(-1)!;
    if (element.text.length + more.length > MAX_TEXT) throw tooLarge('a text too long');
    element.text += more;
  };
  parser.on('error', (error) => {
    throw new NatError('NAT_BAD_ANSWER', `the router's XML is not XML: ${error.message}`);
  });
  parser.on('doctype', () => {
    throw new NatError('NAT_BAD_ANSWER', "the router's XML has a document type, which is refused");
  });
  parser.on('opentagstart', ({ name }) => {
    count += 1;
    if (count > MAX_ELEMENTS) throw tooLarge(`more than ${MAX_ELEMENTS} elements`);
    if (open.length > MAX_DEPTH) throw tooLarge(`more than ${MAX_DEPTH} levels`);
    const element = { name: name.slice(name.indexOf(':') + 1), children: [], text: '' };
    open.at(-1)!.children.push(element);
    open.push(element);
  });
  parser.on('text', addText);
  parser.on('cdata', addText);
  parser.on('closetag', () => {
    open.pop();
  });
  try {
    // Some routers put space before it, and the zero of their strings behind it.
    parser.write(text.replaceAll('\0', '').trim()).close();
  } catch (error) {
    if (error instanceof NatError) throw error;
    // saxes takes half of a surrogate pair at the end of a document type for a character.
    throw new NatError('NAT_BAD_ANSWER', `the router's XML is not XML: ${String(error)}`, {
      cause: error,
    });
  }
  return root.children[0]!;
}

function tooLarge(what: string): NatError {
  return new NatError('NAT_TOO_LARGE', `the router's XML is too large: ${what}`);
}

/** The first child of a name. */
export function child(element: XmlElement | undefined, name: string): XmlElement | undefined {
  return element?.children.find((one) => one.name === name);
}

/** The text of the first child of a name, without the space around it; empty when there is none. */
export function textOf(element: XmlElement | undefined, name: string): string {
  return (child(element, name)?.text ?? '').trim();
}

/** The first element of a name, at any depth. */
export function descendant(element: XmlElement, name: string): XmlElement | undefined {
  for (const one of element.children) {
    const found = one.name === name ? one : descendant(one, name);
    if (found !== undefined) return found;
  }
  return undefined;
}
