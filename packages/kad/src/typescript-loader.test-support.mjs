import { readFile } from 'node:fs/promises';
import typescript from 'typescript';

// Hooks (node:module) that let a worker thread of a test run the sources: Node 20 loads no TypeScript.

export async function resolve(specifier, context, next) {
  if (context.parentURL?.endsWith('.ts') && specifier.startsWith('.')) {
    return next(specifier.replace(/\.js$/, '.ts'), context);
  }
  return next(specifier, context);
}

export async function load(url, context, next) {
  if (!url.endsWith('.ts')) return next(url, context);
  const { outputText } = typescript.transpileModule(await readFile(new URL(url), 'utf8'), {
    compilerOptions: { module: 'ESNext', target: 'ES2022', verbatimModuleSyntax: true },
  });
  return { format: 'module', source: outputText, shortCircuit: true };
}
