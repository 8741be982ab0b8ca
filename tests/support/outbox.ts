import type { ApiClient } from './api-client.ts';
import type { Answer } from './receiver.ts';
import type { TestApp } from './test-app.ts';

export interface Sent {
  readonly accountId: string;
  readonly token: string;
  readonly destinationId: string;
  readonly eventId: string;
  readonly deliveryId: string;
}

/** An account with one destination and one event on its way there. */
export async function sendOne(app: TestApp, url: string): Promise<Sent> {
  const { id: accountId, token } = await app.createAccount();
  const destinationId = await app.createDestination(accountId, url);
  const eventId = await app.sendAccepted(token, '{"a":1}');
  const { event } = await app.data('query ($id: ID!) { event(id: $id) { deliveries { id } } }', { id: eventId });
  return { accountId, token, destinationId, eventId, deliveryId: event.deliveries[0].id };
}

/** Waits until a delivery stands so. */
// oxlint-disable-next-line typescript/no-explicit-any -- the shape is what each test asserts
export async function settled(app: ApiClient, deliveryId: string, status: string): Promise<any> {
  const query = `query ($id: ID!) { delivery(id: $id) {
    id status attemptCount nextAttemptAt completedAt event { id } destination { id }
    attempts { number startedAt durationMs statusCode error responseBody }
  } }`;
  return app.eventually(
    async () => (await app.data(query, { id: deliveryId })).delivery,
    (delivery) => delivery?.status === status,
  );
}

/** Answers that are held back until they are released. */
export function heldAnswers(): { answer: Answer; release: () => void } {
  const held: (() => void)[] = [];
  return {
    answer: (response) => void held.push(() => response.end('late')),
    release: () => {
      for (const answer of held.splice(0)) {
        answer();
      }
    },
  };
}
