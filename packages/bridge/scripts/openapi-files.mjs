// The files that are made of the description: openapi.json, and the types of the client.
import openapiTS, { astToString } from 'openapi-typescript';
import { format, resolveConfig } from 'prettier';
import ts from 'typescript';

const HEAD =
  '// Made of openapi.json by "npm run build:openapi -w @granary/bridge". Not to be edited.\n\n';
const BYTES = "import type { Bytes } from '../bytes.js';\n\n";

/** Each file with its text. */
export async function openApiFiles(document) {
  const types = await openapiTS(JSON.stringify(document), {
    alphabetize: true,
    transform: (schema) =>
      schema.format === 'binary'
        ? ts.factory.createTypeReferenceNode(ts.factory.createIdentifier('Bytes'))
        : undefined,
  });
  const texts = [
    ['../openapi.json', JSON.stringify(document)],
    ['../src/client/generated/api-types.ts', HEAD + BYTES + astToString(types)],
  ];
  return Promise.all(
    texts.map(async ([name, text]) => {
      const url = new URL(name, import.meta.url);
      const options = await resolveConfig(url);
      return { url, text: await format(text, { ...options, filepath: url.pathname }) };
    }),
  );
}
