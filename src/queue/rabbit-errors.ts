/** A broker that is frozen, or has no leader for a queue, takes a question and says nothing. */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError';

  constructor() {
    super('The broker did not answer.');
  }
}

const REASON_MAX = 300;
/** Around what the broker says, amqplib tells which frame it came in. */
const BROKER_SAYS = /with message "(.*)"$/su;

/** @returns one line for whoever runs the broker, in its own words where it said why. */
export function reasonOf(error: unknown): string {
  const { message } = firstOf(error);
  const said = BROKER_SAYS.exec(message)?.[1] ?? message;
  return said.replaceAll(/\s+/gu, ' ').slice(0, REASON_MAX);
}

/** A host with several addresses fails once for each, and says nothing of its own. */
function firstOf(error: unknown): Error {
  const first: unknown = error instanceof AggregateError ? (error.errors[0] ?? error) : error;
  return first instanceof Error ? first : new Error(String(first));
}
