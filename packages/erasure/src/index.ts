export { ErasureError, type ErasureErrorCode } from './errors.js';
export type { Implementation } from './kernel.js';
export { createCodec, type Codec, type ShardMap } from './codec.js';
export { hasSimd } from './wasm-kernel.js';
export {
  decodeSegment,
  decodeStream,
  decodeStripes,
  encodeSegment,
  encodeStream,
  encodeStripes,
  stripeLayout,
  stripesForRange,
  type StripeLayout,
  type StripeRange,
} from './striping.js';
