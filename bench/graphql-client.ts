/** The few operations that a measurement needs. */
export class GraphqlClient {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  async createAccount(): Promise<{ id: string; token: string }> {
    const { createAccount } = await this.#ask<{ createAccount: { id: string; appSecretToken: string } }>(
      'mutation ($input: CreateAccountInput!) { createAccount(input: $input) { id appSecretToken } }',
      { input: { email: `${crypto.randomUUID()}@example.com`, name: 'Bench' } },
    );
    return { id: createAccount.id, token: createAccount.appSecretToken };
  }

  async createDestination(accountId: string, url: string): Promise<string> {
    const { createDestination } = await this.#ask<{ createDestination: { id: string } }>(
      `mutation ($input: CreateDestinationInput!) { createDestination(input: $input) { id } }`,
      { input: { accountId, url, httpMethod: 'POST', headers: { 'X-Bench': '1' } } },
    );
    return createDestination.id;
  }

  /** How many deliveries of all these destinations stand so. */
  async deliveriesOfAll(destinationIds: readonly string[], status: 'PENDING' | 'SUCCEEDED'): Promise<number> {
    const counts = await Promise.all(destinationIds.map((id) => this.deliveries(id, status)));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async storedEvents(accountId: string): Promise<number> {
    const { account } = await this.#ask<{ account: { events: { totalCount: number } } }>(
      'query ($id: ID!) { account(id: $id) { events(first: 1) { totalCount } } }',
      { id: accountId },
    );
    return account.events.totalCount;
  }

  async deliveries(destinationId: string, status: 'PENDING' | 'SUCCEEDED'): Promise<number> {
    const { destination } = await this.#ask<{ destination: { deliveries: { totalCount: number } } }>(
      `query ($id: ID!, $status: DeliveryStatus!) {
        destination(id: $id) { deliveries(first: 1, status: $status) { totalCount } }
      }`,
      { id: destinationId, status },
    );
    return destination.deliveries.totalCount;
  }

  async #ask<Data>(query: string, variables: Record<string, unknown> = {}): Promise<Data> {
    const response = await fetch(this.#url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = (await response.json()) as { data: Data; errors?: unknown };
    if (errors !== undefined) {
      throw new Error(`GraphQL refused: ${JSON.stringify(errors)}`);
    }
    return data;
  }
}
