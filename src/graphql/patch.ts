import { DomainError } from '../core/errors.ts';

type WithoutNulls<Input, Clearable extends keyof Input> = {
  [Key in keyof Input]: Key extends Clearable ? Input[Key] : Exclude<Input[Key], null>;
};

/**
 * Turns an update's input into a patch. GraphQL allows `null` in every optional field, but only some fields can be cleared.
 *
 * @throws DomainError BAD_USER_INPUT
 */
export function toPatch<Input extends object, Clearable extends keyof Input & string = never>(
  input: Input,
  clearable: readonly Clearable[] = [],
): WithoutNulls<Input, Clearable> {
  const entries = Object.entries(input).filter(([, value]) => value !== undefined);
  const cleared = entries.find(([field, value]) => value === null && !clearable.some((one) => one === field));
  if (cleared !== undefined) {
    throw DomainError.badInput(
      cleared[0],
      `The field ${cleared[0]} cannot be removed; leave it out to keep it as it is.`,
    );
  }
  return Object.fromEntries(entries) as WithoutNulls<Input, Clearable>;
}
