/**
 * What Node is started with for every process of ours; the first line of bin/granary.mjs and the systemd
 * units say the same. A small young generation keeps memory small. Garbage of the young is collected after
 * some MiB of buffers (`ShortLivedBuffers`, which needs `--expose-gc`), and all garbage only once the heap has
 * grown to five times what was left of it the last time: buffers count in that, and V8's own measure, some eight MiB, is
 * reached again and again while bytes stream through.
 */
export const nodeFlags = ['--max-semi-space-size=2', '--heap-growing-percent=400', '--expose-gc'];
