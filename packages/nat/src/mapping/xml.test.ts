import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NatError } from '../errors.js';
import { MAX_XML_LENGTH, child, descendant, parseXml, textOf } from './xml.js';

const codeOf = (text: string) => {
  try {
    parseXml(text);
    return 'read';
  } catch (error) {
    return (error as NatError).code;
  }
};

describe('XML of routers', () => {
  it('is read with its names and texts, without prefixes', () => {
    const root = parseXml('<a:x xmlns:a="u"> <a:y>1 &amp; 2</a:y><z><![CDATA[<3>]]></z><e/></a:x>');
    expect(root.name).toBe('x');
    expect(textOf(root, 'y')).toBe('1 & 2');
    expect(textOf(child(root, 'z'), 'none')).toBe('');
    expect(textOf(root, 'z')).toBe('<3>');
    expect(descendant(root, 'e')?.children).toEqual([]);
  });

  it('has no entities of its own', () => {
    const bomb = `<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
      <!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><x>&c;</x>`;
    expect(codeOf(bomb)).toBe('NAT_BAD_ANSWER');
    expect(codeOf('<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>')).toBe('NAT_BAD_ANSWER');
    expect(codeOf('<x>&c;</x>')).toBe('NAT_BAD_ANSWER');
    expect(codeOf('<!DOCTYPE x><x/>')).toBe('NAT_BAD_ANSWER');
  });

  it('is bounded in every direction', () => {
    expect(codeOf('<x>'.repeat(100) + '</x>'.repeat(100))).toBe('NAT_TOO_LARGE');
    expect(codeOf(`<x>${'<y/>'.repeat(5_000)}</x>`)).toBe('NAT_TOO_LARGE');
    expect(codeOf(`<x>${'a'.repeat(5_000)}</x>`)).toBe('NAT_TOO_LARGE');
    expect(codeOf(`<x>${'<!-- -->'.repeat(MAX_XML_LENGTH / 8)}</x>`)).toBe('NAT_TOO_LARGE');
    expect(codeOf(`<x>${'<![CDATA[aaaaaaaa]]>'.repeat(600)}</x>`)).toBe('NAT_TOO_LARGE');
  });

  it('that is none is refused', () => {
    for (const text of ['', 'no', '<x>', '<x></y>', '<x/><y/>', '<x a=1/>', '\u0000']) {
      expect(codeOf(text), text).toBe('NAT_BAD_ANSWER');
    }
  });

  it('whatever comes, is read or refused with a typed error', () => {
    const pieces = fc.constantFrom(
      ...['<x>', '</x>', '<y a="1">', '</y>', '&amp;', '&#65;', '&z;', 'text', '<![CDATA[', ']]>'],
      ...['<!--', '-->', '<?xml version="1.0"?>', '<!DOCTYPE x [', ']>', '<', '>', '"', '\ud800'],
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(pieces).map((all) => all.join('')),
        ),
        (text) => {
          expect(['read', 'NAT_BAD_ANSWER', 'NAT_TOO_LARGE']).toContain(codeOf(text));
        },
      ),
      { numRuns: 500, examples: [['<!DOCTYPE x [<!--<!--\ud800']] },
    );
  });
});
