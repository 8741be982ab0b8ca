import { UniqueConstraintViolationException } from '@mikro-orm/core';

export { LockMode } from '@mikro-orm/core';

/** Did a write fail because another account has the address already? */
export function isEmailTaken(error: unknown): boolean {
  return error instanceof UniqueConstraintViolationException && error.message.includes('email_key');
}
