type Status = 'PENDING' | 'SUCCEEDED';

type Fields = Readonly<Record<string, unknown>>;

const LIST = 'totalCount nodes { id } pageInfo { hasNextPage endCursor }';

interface List {
  /** `null` for more than the server counts. */
  readonly totalCount: number | null;
  readonly nodes: readonly { readonly id: string }[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
}

/** By the list's own count, or by walking through it. */
async function countPages(pageAfter: (after: string | null) => Promise<List>): Promise<number> {
  let page = await pageAfter(null);
  if (page.totalCount !== null) {
    return page.totalCount;
  }
  let count = page.nodes.length;
  while (page.pageInfo.hasNextPage) {
    page = await pageAfter(page.pageInfo.endCursor);
    count += page.nodes.length;
  }
  return count;
}

/** The few operations that a measurement needs. */
export class GraphqlClient {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** @param input fields besides the required ones */
  async createAccount(input: Fields = {}): Promise<{ id: string; token: string }> {
    const { createAccount } = await this.#ask<{ createAccount: { id: string; appSecretToken: string } }>(
      'mutation ($input: CreateAccountInput!) { createAccount(input: $input) { id appSecretToken } }',
      { input: { email: `${crypto.randomUUID()}@example.com`, name: 'Bench', ...input } },
    );
    return { id: createAccount.id, token: createAccount.appSecretToken };
  }

  /** @param input fields besides the required ones */
  async createDestination(accountId: string, url: string, input: Fields = {}): Promise<string> {
    const { createDestination } = await this.#ask<{ createDestination: { id: string } }>(
      `mutation ($input: CreateDestinationInput!) { createDestination(input: $input) { id } }`,
      { input: { accountId, url, httpMethod: 'POST', headers: { 'X-Bench': '1' }, ...input } },
    );
    return createDestination.id;
  }

  /** Whether any delivery of these destinations stands so. */
  async hasAny(destinationIds: readonly string[], status: Status): Promise<boolean> {
    const pages = await Promise.all(destinationIds.map((id) => this.#deliveries(id, status, 1, null)));
    return pages.some(({ nodes }) => nodes.length > 0);
  }

  storedEvents(accountId: string): Promise<number> {
    return countPages(async (after) => {
      const { account } = await this.#ask<{ account: { events: List } }>(
        `query ($id: ID!, $after: String) { account(id: $id) { events(first: 100, after: $after) { ${LIST} } } }`,
        { id: accountId, after },
      );
      return account.events;
    });
  }

  deliveries(destinationId: string, status: Status): Promise<number> {
    return countPages((after) => this.#deliveries(destinationId, status, 100, after));
  }

  async #deliveries(id: string, status: Status, first: number, after: string | null): Promise<List> {
    const { destination } = await this.#ask<{ destination: { deliveries: List } }>(
      `query ($id: ID!, $status: DeliveryStatus!, $first: Int!, $after: String) {
        destination(id: $id) { deliveries(first: $first, after: $after, status: $status) { ${LIST} } }
      }`,
      { id, status, first, after },
    );
    return destination.deliveries;
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
