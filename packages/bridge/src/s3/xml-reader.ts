import { SaxesParser } from 'saxes';
import { S3Error } from './s3-error.js';

/** Bounds on a document, so that no client's XML can cost more than its bytes. */
export interface XmlLimits {
  readonly depth: number;
  readonly elements: number;
}

const DEFAULT_LIMITS: XmlLimits = { depth: 12, elements: 40_000 };

/** An element that was read. Names are without their namespace prefix. */
export class XmlNode {
  readonly children: XmlNode[] = [];
  text = '';

  constructor(
    readonly name: string,
    /** Attributes by their name without prefix. */
    readonly attributes: ReadonlyMap<string, string>,
  ) {}

  /** The first child of a name. */
  child(name: string): XmlNode | undefined {
    return this.children.find((node) => node.name === name);
  }

  /** All children of a name, in order. */
  all(name: string): XmlNode[] {
    return this.children.filter((node) => node.name === name);
  }

  /** The text of a child, without white space around it; undefined when there is no such child. */
  textOf(name: string): string | undefined {
    return this.child(name)?.text.trim();
  }

  /** The text of a child that must be there. @throws S3Error MalformedXML. */
  required(name: string): string {
    const text = this.textOf(name);
    if (text === undefined || text === '') {
      throw new S3Error('MalformedXML', `<${this.name}> lacks its <${name}>.`);
    }
    return text;
  }
}

/**
 * Read a document whole. Document type declarations are refused outright, so that there are no
 * entities to expand; depth and number of elements are bounded.
 *
 * @param root - the names that the outermost element may have
 * @throws S3Error MalformedXML.
 */
export function readXml(
  bytes: Uint8Array,
  root: string | readonly string[],
  limits: XmlLimits = DEFAULT_LIMITS,
): XmlNode {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new S3Error('MalformedXML', 'The XML you provided is not UTF-8.');
  }
  const parser = new SaxesParser({ xmlns: false });
  const stack: XmlNode[] = [];
  let top: XmlNode | undefined;
  let count = 0;
  const refuse = (why: string): never => {
    throw new S3Error('MalformedXML', `The XML you provided was not well-formed: ${why}.`);
  };
  parser.on('error', (error) => refuse(error.message.slice(0, 200)));
  parser.on('doctype', () => refuse('a document type declaration is not allowed'));
  parser.on('opentag', ({ name, attributes }) => {
    if (++count > limits.elements) refuse(`more than ${limits.elements} elements`);
    if (stack.length >= limits.depth) refuse(`more than ${limits.depth} elements in each other`);
    const node = new XmlNode(
      local(name),
      new Map(Object.entries(attributes).map(([key, value]) => [local(key), value])),
    );
    const parent = stack.at(-1);
    if (parent !== undefined) parent.children.push(node);
    else top = node;
    stack.push(node);
  });
  const onText = (part: string) => {
    const node = stack.at(-1);
    if (node !== undefined) node.text += part;
  };
  parser.on('text', onText);
  parser.on('cdata', onText);
  parser.on('closetag', () => void stack.pop());
  parser.write(text).close();
  if (top === undefined) return refuse('there is no element');
  const names = typeof root === 'string' ? [root] : root;
  if (!names.includes(top.name)) {
    throw new S3Error(
      'MalformedXML',
      `The XML is a <${top.name}>, not a <${names.join('> or <')}>.`,
    );
  }
  return top;
}

function local(name: string): string {
  return name.slice(name.indexOf(':') + 1);
}
