import { readFile } from 'node:fs/promises';
import { Validator } from '@seriousme/openapi-schema-validator';
import { expect, it } from 'vitest';
import { openApiFiles } from '../../scripts/openapi-files.mjs';
import { TestBridge } from '../s3/bridge.test-support.js';
import { description } from './checked-fetch.test-support.js';
import { openApiDocument } from './openapi-document.js';

it('the files that are committed are those that the sources make', async () => {
  for (const { url, text } of await openApiFiles(openApiDocument())) {
    const there = await readFile(url, 'utf8');
    expect(there === text, `${url.pathname}: run "npm run build"`).toBe(true);
  }
});

it('the description is an OpenAPI 3.1 document', async () => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(structuredClone(description));
  expect(errors).toBeUndefined();
  expect(valid).toBe(true);
  expect(validator.version).toBe('3.1');
});

it('every operation has an ID of its own, and says what may go wrong', () => {
  const operations = Object.values(description.paths).flatMap((path) => Object.values(path));
  const ids = operations.map(({ operationId }) => operationId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { operationId, responses } of operations) {
    expect(Object.keys(responses), operationId).toEqual(expect.arrayContaining(['400', '500']));
  }
});

it('the bridge serves it to anybody, as it is committed', async () => {
  const bridge = await TestBridge.start();
  try {
    const response = await fetch(`${bridge.bridge.url}/_granary/v1/openapi.json`);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(await response.json()).toEqual(description);
  } finally {
    await bridge.stop();
  }
});
