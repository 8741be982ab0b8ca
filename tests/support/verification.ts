import { Webhook as StandardWebhook, WebhookVerificationError } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import { isGenuine } from '../../samples/verify.ts';
import type { Received } from './receiver.ts';

/** What is signed: the body, or of a GET the query string, exactly as it arrived. */
export function signedContent({ method, target, body }: Received): Buffer {
  return method === 'GET' ? Buffer.from(target.split('?').slice(1).join('?')) : body;
}

export function signaturesOf({ headers }: Received): string[] {
  return String(headers['webhook-signature']).split(' ');
}

/** Whether both libraries and the sample take the request for one that was signed with the secret: they must agree. */
export function verifies(received: Received, secret: string, content = signedContent(received)): boolean {
  const headers = received.headers as Record<string, string>;
  const answers = [
    accepts(() => new StandardWebhook(secret).verify(content, headers, { jsonParse: false })),
    accepts(() => new SvixWebhook(secret).verify(content, headers)),
    isGenuine(content, received.headers, secret),
  ];
  if (new Set(answers).size !== 1) {
    throw new Error(`standardwebhooks, svix and the sample do not agree: ${answers.join(', ')}.`);
  }
  return answers[0] === true;
}

function accepts(verify: () => unknown): boolean {
  try {
    verify();
    return true;
  } catch (error) {
    if (error instanceof WebhookVerificationError) {
      return false;
    }
    throw error;
  }
}
