/* global Response */
// A page that codes, and says how fast it was. The benchmark calls `globalThis.erasing`.
import { ReedSolomonErasure } from '@subspace/reed-solomon-erasure.wasm';
import wasm from '@subspace/reed-solomon-erasure.wasm/dist/reed_solomon_erasure_bg.wasm?url';
import { compareCoders, granaryCoder, subspaceCoder } from '../dist/erasure-coders.js';

/** Its bytes as what they are, whatever the server says. */
async function subspace() {
  const { body } = await fetch(wasm);
  const headers = { 'content-type': 'application/wasm' };
  return ReedSolomonErasure.fromResponse(new Response(body, { headers }));
}

globalThis.erasing = {
  async compare(k, m, rounds) {
    const coders = [
      await granaryCoder(k, m, 'wasm-simd'),
      await granaryCoder(k, m, 'scalar'),
      subspaceCoder(await subspace(), k, m),
    ];
    return compareCoders(coders, k, rounds);
  },
};
