import { beforeAll, describe } from '@jest/globals';

/**
 * `describe` where the machine has what the tests need. Where it has not, a newcomer is told what was left
 * out; in CI the tests of the file fail instead, so that no guarantee goes unchecked without anybody noticing.
 */
export function describeWhere(isMet: boolean, need: string): typeof describe.skip {
  if (isMet) {
    return describe;
  }
  if (process.env['CI'] === 'true') {
    beforeAll(() => {
      throw new Error(`CI may not leave tests out, and these need ${need}.`);
    });
    return describe;
  }
  process.stdout.write(`SKIPPED: tests that need ${need}.\n`);
  return describe.skip;
}
