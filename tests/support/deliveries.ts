import type { TestApp } from './test-app.ts';

export interface AttemptSeen {
  readonly number: number;
  readonly statusCode: number | null;
  readonly error: string | null;
  readonly message: string | null;
  readonly durationMs: number;
  readonly responseBody: string | null;
}

export interface DeliverySeen {
  readonly id: string;
  readonly status: 'PENDING' | 'SUCCEEDED' | 'FAILED';
  readonly attemptCount: number;
  readonly nextAttemptAt: string | null;
  readonly completedAt: string | null;
  readonly attempts: readonly AttemptSeen[];
}

const QUERY = `query ($id: ID!) { event(id: $id) { deliveries {
  id status attemptCount nextAttemptAt completedAt attempts { number statusCode error message durationMs responseBody }
} } }`;

export async function deliveriesOf(app: TestApp, eventId: string): Promise<DeliverySeen[]> {
  return (await app.data(QUERY, { id: eventId })).event.deliveries;
}

/** The event's one delivery, once it is finished. */
export async function finishedDelivery(app: TestApp, eventId: string): Promise<DeliverySeen> {
  const [delivery] = await app.eventually(
    () => deliveriesOf(app, eventId),
    ([first]) => first !== undefined && first.status !== 'PENDING',
  );
  return delivery as DeliverySeen;
}
