export { createProgram } from './program.js';
export { EXIT_CODES } from './exit-codes.js';
