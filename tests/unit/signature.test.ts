import { describe, expect, test } from '@jest/globals';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { signatureHeader, signingKeyOf } from '../../src/core/signature.ts';
import { generateSigningSecret } from '../../src/core/secrets.ts';

const NOW = 1_700_000_000_000;
const CONTENT = { id: 'msg_1', timestamp: '1700000000', body: '{"é":1.0}' };

const newest = { secret: generateSigningSecret(), signsUntil: null };
const previous = { secret: generateSigningSecret(), signsUntil: NOW + 1_000 };

/** What the reference implementation signs with the same secret. */
function reference({ secret }: { secret: string }): string {
  return new StandardWebhook(secret).sign(CONTENT.id, new Date(NOW), CONTENT.body);
}

describe('signatureHeader', () => {
  test('is what the published example says', () => {
    const example = {
      id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      timestamp: '1614265330',
      body: '{"test": 2432232314}',
    };
    const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    expect(signatureHeader(example, [signingKeyOf({ secret, signsUntil: null })], NOW)).toBe(
      'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    );
  });

  test('is one signature of one secret, over bytes as over text', () => {
    expect(signatureHeader(CONTENT, [signingKeyOf(newest)], NOW)).toBe(reference(newest));
    expect(signatureHeader({ ...CONTENT, body: Buffer.from(CONTENT.body) }, [signingKeyOf(newest)], NOW)).toBe(
      reference(newest),
    );
  });

  test.each([
    ['until the overlap ends, the newest first', NOW + 999, `${reference(newest)} ${reference(previous)}`],
    ['and of the newest alone from then on', NOW + 1_000, reference(newest)],
  ])('is of both secrets %s', (_when, now, expected) => {
    expect(signatureHeader(CONTENT, [newest, previous].map(signingKeyOf), now)).toBe(expected);
  });
});
