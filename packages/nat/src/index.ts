export { NatError, type NatErrorCode } from './errors.js';
