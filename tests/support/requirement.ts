import { test } from '@jest/globals';

/**
 * `test` where the machine has what the test needs. Where it has not, a newcomer is told what was left out;
 * in CI the test fails instead, so that a guarantee cannot go unchecked without anybody noticing.
 */
export function testWhere(
  isMet: boolean,
  need: string,
): (title: string, body: () => Promise<void>, timeoutMs?: number) => void {
  if (isMet) {
    return test;
  }
  return (title) => {
    if (process.env['CI'] === 'true') {
      test(title, () => {
        throw new Error(`CI cannot leave this test out, and it needs ${need}.`);
      });
      return;
    }
    process.stdout.write(`SKIPPED: "${title}" needs ${need}.\n`);
    test.skip(title, () => undefined);
  };
}
