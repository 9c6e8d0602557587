/** Let any number of listeners wait for a signal: for signals that all calls of a node share. */
export { allowManyListeners } from '#kad/platform';
