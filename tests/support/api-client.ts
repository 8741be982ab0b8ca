import type { App } from '../../src/app.ts';

export interface GraphQLAnswer {
  readonly status: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- the shape is what each test asserts
  readonly data: any;
  readonly errors: readonly { message: string; extensions: { code: string; field?: string } }[] | undefined;
}

/** Speaks to a server over HTTP only, wherever it runs. */
export abstract class ApiClient {
  abstract readonly urls: App['urls'];
  /** What goes with every request to the management API. */
  readonly headers: Readonly<Record<string, string>> = {};

  async graphql(query: string, variables: Record<string, unknown> = {}): Promise<GraphQLAnswer> {
    const response = await fetch(this.urls.graphql, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...this.headers },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = (await response.json()) as Omit<GraphQLAnswer, 'status'>;
    return { status: response.status, data, errors };
  }

  /** The data of a request that must succeed. */
  async data(query: string, variables: Record<string, unknown> = {}): Promise<GraphQLAnswer['data']> {
    const { data, errors } = await this.graphql(query, variables);
    if (errors !== undefined) {
      throw new Error(`The request was refused: ${JSON.stringify(errors)}`);
    }
    return data;
  }

  async createAccount(email = `${crypto.randomUUID()}@example.com`): Promise<{ id: string; token: string }> {
    const query = `mutation ($email: EmailAddress!) {
      createAccount(input: { email: $email, name: "Test" }) { id appSecretToken }
    }`;
    const { createAccount } = await this.data(query, { email });
    return { id: createAccount.id, token: createAccount.appSecretToken };
  }

  async createDestination(
    accountId: string,
    url: string,
    fields: Readonly<Record<string, unknown>> = {},
  ): Promise<string> {
    const query = 'mutation ($input: CreateDestinationInput!) { createDestination(input: $input) { id } }';
    const input = { accountId, url, httpMethod: 'POST', headers: { 'X-Test': '1' }, ...fields };
    return (await this.data(query, { input })).createDestination.id;
  }

  /** Posts an event the way an application would. */
  async send(token: string, body: string | Buffer, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(this.urls.ingest, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'CL-X-TOKEN': token, ...headers },
      body: body as string,
    });
  }

  /** Posts an event that must be accepted, and answers its id. */
  async sendAccepted(token: string, body: string | Buffer): Promise<string> {
    const response = await this.send(token, body);
    const answer = (await response.json()) as { eventId: string };
    if (response.status !== 202) {
      throw new Error(`The event was refused: ${response.status} ${JSON.stringify(answer)}`);
    }
    return answer.eventId;
  }

  /** Asks again and again, without waiting in between, until the answer satisfies the condition. */
  async eventually<Result>(
    ask: () => Promise<Result>,
    condition: (result: Result) => boolean,
    withinMs = 15_000,
  ): Promise<Result> {
    const deadline = Date.now() + withinMs;
    for (;;) {
      const result = await ask();
      if (condition(result)) {
        return result;
      }
      if (Date.now() > deadline) {
        throw new Error(`The condition was not met within ${withinMs} ms; last seen: ${JSON.stringify(result)}`);
      }
    }
  }
}
