import fc from 'fast-check';
import { expect, it } from 'vitest';
import { readXml } from './xml-reader.js';
import { optional, writeXml, xml } from './xml-writer.js';

// eslint-disable-next-line no-control-regex
const UNSPEAKABLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/;
const read = (text: string) => readXml(Buffer.from(text), 'R');

it('what is written is read back', () =>
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' })), (texts) => {
      // XML 1.0 can't say these, and S3's clients take them as references all the same.
      fc.pre(texts.every((text) => !UNSPEAKABLE.test(text)));
      const document = writeXml(
        xml('R', [texts.map((text) => xml('T', text))], { xmlns: 'urn:x' }),
      );
      const line = (text: string) => text.replace(/\r\n?/g, '\n');
      expect(
        read(document)
          .all('T')
          .map(({ text }) => line(text)),
      ).toEqual(texts.map(line));
    }),
  ));

it('markup in text stays text', () => {
  const text = writeXml(xml('R', [xml('T', `</T><Evil a="1">&amp;'\u0001`)]));
  expect(text).toContain("&lt;/T&gt;&lt;Evil a=&quot;1&quot;&gt;&amp;amp;'&#x1;</T>");
  expect(writeXml(xml('R', [optional('A', undefined), optional('B', 0)]))).toContain(
    '<R><B>0</B></R>',
  );
  expect(writeXml(xml('R'))).toContain('<R/>');
});

it('prefixes of namespaces do not matter', () => {
  const root = read('<x:R xmlns:x="urn:x"><x:A xsi:type="T"> v </x:A><![CDATA[&]]></x:R>');
  expect(root.textOf('A')).toBe('v');
  expect(root.child('A')!.attributes.get('type')).toBe('T');
  expect(root.text).toBe('&');
});

it.each([
  ['nothing', ''],
  ['two roots', '<R/><R/>'],
  ['an unclosed element', '<R><A></R>'],
  ['a document type', '<!DOCTYPE R><R/>'],
  ['an entity', '<R>&x;</R>'],
  ['another root', '<S/>'],
  ['a bare ampersand', '<R>a & b</R>'],
  ['too deep a tree', `<R>${'<a>'.repeat(20)}${'</a>'.repeat(20)}</R>`],
  ['too many elements', `<R>${'<a/>'.repeat(40_001)}</R>`],
])('%s is refused', (_, text) => {
  expect(() => read(text)).toThrow(expect.objectContaining({ code: 'MalformedXML' }) as Error);
});

it('bytes that are not UTF-8 are refused', () => {
  expect(() => readXml(Buffer.from([0x3c, 0x52, 0xff]), 'R')).toThrow(/not UTF-8/);
});
