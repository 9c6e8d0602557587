import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

/**
 * The service worker: one classic script without imports, which every browser takes, under a name that
 * stays, beside the pages that it serves.
 */
export default defineConfig({
  publicDir: false,
  build: {
    outDir: fileURLToPath(new URL('dist/site', import.meta.url)),
    emptyOutDir: false,
    target: 'es2022',
    reportCompressedSize: false,
    lib: {
      entry: fileURLToPath(new URL('src/stream-worker/worker.ts', import.meta.url)),
      formats: ['iife'],
      name: 'granaryStreamWorker',
      fileName: () => 'stream-worker.js',
    },
  },
});
