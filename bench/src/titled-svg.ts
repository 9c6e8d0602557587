import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';

/** A plot with a title in its upper left corner, as the text of an SVG file. @param y - the title's place */
export function titledSvg(
  options: Plot.PlotOptions,
  { text, y }: { text: string; y: number },
): string {
  const { document } = parseHTML('<html><body></body></html>');
  const svg = Plot.plot({ ...options, document: document as never });
  const title = document.createElementNS('http://www.w3.org/2000/svg', 'text');
  title.setAttribute('x', '8');
  title.setAttribute('y', String(y));
  title.setAttribute('text-anchor', 'start');
  title.setAttribute('font-size', '14');
  title.textContent = text;
  svg.append(title);
  svg.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  return `${svg.outerHTML}\n`;
}
