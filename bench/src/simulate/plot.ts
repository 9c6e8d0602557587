import * as Plot from '@observablehq/plot';
import { titledSvg } from '../titled-svg.js';
import type { PlotSpec, Row } from './scenario.js';

/** A plot of the rows of a table, as the text of an SVG file. */
export function plotSvg(spec: PlotSpec, rows: readonly Row[], subtitle: string): string {
  const { x, y, line, panel, bars = false } = spec;
  const data = rows.map((row) => ({ ...row }));
  const key =
    line === undefined
      ? {}
      : { stroke: (row: Row) => String(row[line]), z: (row: Row) => String(row[line]) };
  const facet = panel === undefined ? {} : { fx: panel };
  const ticks = spec.logX === true ? [...new Set(rows.map((row) => Number(row[x])))] : undefined;
  const marks = bars
    ? [Plot.barX(data, { x, y, fill: '#4269d0' }), Plot.ruleX([0])]
    : [
        Plot.line(data, { x, y, marker: true, ...key, ...facet }),
        ...(line === undefined
          ? []
          : [
              Plot.text(
                data,
                Plot.selectLast({
                  x,
                  y,
                  z: line,
                  text: (row: Row) => String(row[line]),
                  textAnchor: 'start' as const,
                  dx: 6,
                  ...facet,
                }),
              ),
            ]),
      ];
  const options: Plot.PlotOptions = {
    width: panel === undefined ? 720 : 1100,
    height: bars ? 60 + rows.length * 18 : 400,
    marginLeft: bars ? 190 : 60,
    marginRight: bars ? 30 : 130,
    marginTop: 50,
    marginBottom: 45,
    style: { background: 'white', color: 'black', fontSize: '12px' },
    x: {
      label: spec.xLabel,
      type: spec.logX === true ? 'log' : 'linear',
      grid: bars,
      ...(ticks !== undefined && { ticks, tickFormat: (n: number) => n.toLocaleString('en') }),
    },
    y: bars
      ? { label: null, domain: rows.map((row) => row[y]) }
      : {
          label: spec.yLabel,
          type: spec.logY === true ? 'log' : 'linear',
          grid: true,
          ...(spec.yDomain !== undefined && { domain: [...spec.yDomain] }),
        },
    ...(panel !== undefined && { fx: { label: panel } }),
    color: { scheme: 'observable10' },
    marks,
  };
  // Below the label of the axis, which is in the corner.
  return titledSvg(options, { text: `${spec.title}: ${subtitle}`, y: 34 });
}
