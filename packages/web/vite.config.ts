import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

/**
 * Each page is an entry of its own; what they share goes into chunks of its own. The pages are served
 * from wherever they are, under a Content-Security-Policy that allows files of the same origin and
 * nothing else: no inline scripts or styles, no `data:` URLs.
 */
export default defineConfig({
  base: './',
  root: fileURLToPath(new URL('.', import.meta.url)),
  build: {
    outDir: 'dist/site',
    emptyOutDir: true,
    target: 'es2022',
    // `light-dark()` stays as it is: all of these have it.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      input: Object.fromEntries(
        ['dashboard', 'app', 'share'].map((page) => [
          page,
          fileURLToPath(new URL(`${page}.html`, import.meta.url)),
        ]),
      ),
    },
  },
});
