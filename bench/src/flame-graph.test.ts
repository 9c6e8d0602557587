import { describe, expect, it } from 'vitest';
import { flameGraphSvg, framesOf } from './flame-graph.js';

const node = (id: number, functionName: string, url: string, children: number[] = []) => ({
  id,
  callFrame: { functionName, url, scriptId: '1', lineNumber: 0, columnNumber: 0 },
  children,
});

const profile = {
  nodes: [
    node(1, '(root)', '', [2, 3, 4, 6, 7, 8]),
    node(2, '(idle)', ''),
    node(3, 'put', 'file:///a/packages/renter/dist/renter.js', [5]),
    node(4, 'put', 'file:///a/packages/renter/dist/renter.js'),
    node(5, 'sign', 'file:///a/node_modules/secp256k1/index.js'),
    node(6, '(garbage collector)', ''),
    node(7, 'write', 'node:net'),
    node(8, 'post', 'node:inspector', [9]),
    node(9, 'dispatch', ''),
  ],
  startTime: 0,
  endTime: 0,
  samples: [2, 3, 5, 4, 6, 7, 9],
  timeDeltas: [1000, 10, 30, 20, 15, 25, 500],
};

describe('a flame graph', () => {
  it('has callers below what they call, as wide as their time, without what was idle', () => {
    expect(framesOf(profile)).toEqual([
      { name: 'put renter.js', kind: 'ours', depth: 0, from: 0, to: 0.6 },
      { name: 'sign index.js', kind: 'libraries', depth: 1, from: 0, to: 0.3 },
      { name: 'write node:net', kind: 'Node', depth: 0, from: 0.6, to: 0.85 },
      { name: '(garbage collector)', kind: 'garbage', depth: 0, from: 0.85, to: 1 },
    ]);
  });

  it('is drawn with a title for every frame', () => {
    const svg = flameGraphSvg('puts & gets', framesOf(profile));
    expect(svg).toContain('puts &amp; gets');
    expect(svg).toContain('<title>sign index.js: 30.0 %</title>');
    expect(svg.match(/<title>/g)).toHaveLength(4);
  });

  it('is empty when nothing ran', () => {
    expect(framesOf({ ...profile, samples: [2], timeDeltas: [5] })).toEqual([]);
  });
});
