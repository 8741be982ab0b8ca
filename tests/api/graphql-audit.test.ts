import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type AuditResult, auditServer } from 'graphql-http';
import { TestApp } from '../support/test-app.ts';

let app: TestApp;
let results: AuditResult[];

beforeAll(async () => {
  app = await TestApp.start();
  results = await auditServer({ url: app.urls.graphql });
});

afterAll(() => app.stop());

test.each([
  ['MUST', 13],
  ['SHOULD', 23],
] as [string, number][])('every %s of GraphQL over HTTP is kept, all %i of them', (requirement, count) => {
  const asked = results.filter(({ name }) => name.startsWith(`${requirement} `));
  const failed = asked.filter(({ status }) => status !== 'ok');
  expect(failed.map(({ name }) => name)).toEqual([]);
  expect(asked.length).toBeGreaterThanOrEqual(count);
});
