import type { ApiClient } from './api-client.ts';

export interface StoredEvent {
  readonly payloadText: string;
  readonly deliveryStatuses: readonly string[];
}

const PAGE = `query ($id: ID!, $after: String) {
  account(id: $id) {
    events(first: 100, after: $after) {
      nodes { id payloadText deliveries { status } }
      pageInfo { hasNextPage endCursor }
    }
  }
}`;

/** All events of an account, as the API tells them, by id. */
export async function storedEvents(client: ApiClient, accountId: string): Promise<Map<string, StoredEvent>> {
  const events = new Map<string, StoredEvent>();
  for (let after: string | null = null; ; ) {
    const { account } = await client.data(PAGE, { id: accountId, after });
    const { nodes, pageInfo } = account.events;
    for (const { id, payloadText, deliveries } of nodes) {
      events.set(id, { payloadText, deliveryStatuses: deliveries.map(({ status }: { status: string }) => status) });
    }
    if (!pageInfo.hasNextPage) {
      return events;
    }
    after = pageInfo.endCursor;
  }
}
