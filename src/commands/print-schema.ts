import { writeFileSync } from 'node:fs';
import { lexicographicSortSchema, printSchema } from 'graphql';
import { graphqlSchema } from '../graphql/schema.ts';

/** The content of `schema.graphql`. */
export async function printedSchema(): Promise<string> {
  const notice = '# Printed from the code by "npm run schema"; edits are lost.\n\n';
  return `${notice}${printSchema(lexicographicSortSchema(await graphqlSchema()))}\n`;
}

if (import.meta.main) {
  writeFileSync('schema.graphql', await printedSchema());
}
