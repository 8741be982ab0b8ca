import { MIMEType } from 'node:util';
import { Refusal } from './refusal.ts';

/**
 * JSON is UTF-8 (RFC 8259, 8.1); any other declared charset is refused rather than guessed.
 *
 * @throws Refusal 400
 */
export function checkContentType(value: string | undefined): void {
  if (value === 'application/json') {
    return;
  }
  const type = parse(value);
  if (type?.essence !== 'application/json') {
    throw Refusal.invalid('The content type must be application/json.');
  }
  const charset = type.params.get('charset')?.toLowerCase() ?? 'utf-8';
  if (charset !== 'utf-8' && charset !== 'utf8') {
    throw Refusal.invalid('The charset must be UTF-8.');
  }
}

function parse(value: string | undefined): MIMEType | undefined {
  try {
    return value === undefined ? undefined : new MIMEType(value);
  } catch {
    return undefined;
  }
}
