export type Kind = 'account' | 'destination' | 'event' | 'delivery';

/** An operation of the API on one thing, which it names by its id. */
export interface Operation {
  /** The field of the query or the mutation. */
  readonly field: string;
  readonly on: Kind;
  readonly type: 'query' | 'mutation';
  /** Selects as much of what is around the thing as the limits allow. */
  readonly text: (id: string) => string;
}

const ATTEMPT = 'number startedAt durationMs statusCode error responseBody';
const DELIVERY = `id status attemptCount completedAt nextAttemptAt attempts { ${ATTEMPT} }`;
const DESTINATION =
  'id url httpMethod headers name description eventTypes filter signingSecret disabledAt createdAt updatedAt';
const ROUTE = 'destinationId outcome path destination { id account { id } } delivery { id }';
const EVENT = `id receivedAt type payload payloadText routes { ${ROUTE} }`;
const ACCOUNT = 'id email name website eventTypePath appSecretToken createdAt updatedAt';
const PREVIEW = 'outcome path method url headers body curl error';

/** Whatever hangs together with an account, by every way there is from one type to another. */
const WHOLE_ACCOUNT = `${ACCOUNT}
  destinations { ${DESTINATION} account { id } deliveries { totalCount nodes { ${DELIVERY} event { id account { id } } } } }
  events { totalCount nodes { ${EVENT} account { id } deliveries { ${DELIVERY} destination { id account { id } } } } }`;
const WHOLE_DESTINATION = `${DESTINATION} account { ${WHOLE_ACCOUNT} } deliveries { totalCount nodes { ${DELIVERY} } }`;
const WHOLE_EVENT = `${EVENT} account { ${WHOLE_ACCOUNT} } deliveries { ${DELIVERY} }`;
const WHOLE_DELIVERY = `${DELIVERY} event { ${WHOLE_EVENT} } destination { ${WHOLE_DESTINATION} }`;

export const READ_WHOLE_ACCOUNT = `query ($id: ID!) { account(id: $id) { ${WHOLE_ACCOUNT} } }`;

const NEW_DESTINATION = 'url: "http://127.0.0.1:9/new", httpMethod: GET, headers: { X: "1" }';

const QUERIES: readonly [field: string, on: Kind, text: (id: string) => string][] = [
  ['account', 'account', (id) => `account(id: "${id}") { ${WHOLE_ACCOUNT} }`],
  ['destination', 'destination', (id) => `destination(id: "${id}") { ${WHOLE_DESTINATION} }`],
  ['destinations', 'account', (id) => `destinations(accountId: "${id}") { ${WHOLE_DESTINATION} }`],
  ['event', 'event', (id) => `event(id: "${id}") { ${WHOLE_EVENT} }`],
  ['delivery', 'delivery', (id) => `delivery(id: "${id}") { ${WHOLE_DELIVERY} }`],
  [
    'previewDelivery',
    'destination',
    (id) => `previewDelivery(destinationId: "${id}", payloadText: "{}", reveal: true) { ${PREVIEW} }`,
  ],
];

const MUTATIONS: readonly [field: string, on: Kind, text: (id: string) => string][] = [
  ['updateAccount', 'account', (id) => `updateAccount(id: "${id}", input: { name: "New" }) { ${WHOLE_ACCOUNT} }`],
  ['rotateAppSecretToken', 'account', (id) => `rotateAppSecretToken(accountId: "${id}") { ${WHOLE_ACCOUNT} }`],
  [
    'createDestination',
    'account',
    (id) => `createDestination(input: { accountId: "${id}", ${NEW_DESTINATION} }) { ${WHOLE_DESTINATION} }`,
  ],
  [
    'updateDestination',
    'destination',
    (id) => `updateDestination(id: "${id}", input: { headers: { Y: "2" } }) { ${WHOLE_DESTINATION} }`,
  ],
  [
    'rotateSigningSecret',
    'destination',
    (id) => `rotateSigningSecret(destinationId: "${id}") { ${WHOLE_DESTINATION} }`,
  ],
  ['retryDelivery', 'delivery', (id) => `retryDelivery(id: "${id}") { ${WHOLE_DELIVERY} }`],
  ['deleteDestination', 'destination', (id) => `deleteDestination(id: "${id}")`],
  ['deleteAccount', 'account', (id) => `deleteAccount(id: "${id}")`],
];

/** Whether the operation says of what is not there that it is not found, and not null or an empty list. */
export function refusesUnknown({ field, type }: Operation): boolean {
  return type === 'mutation' || field === 'previewDelivery';
}

/** What an account may do to what is its own. */
export const OPERATIONS: readonly Operation[] = [
  ...QUERIES.map(([field, on, text]) => ({
    field,
    on,
    type: 'query' as const,
    text: (id: string) => `{ ${text(id)} }`,
  })),
  ...MUTATIONS.map(([field, on, text]) => ({
    field,
    on,
    type: 'mutation' as const,
    text: (id: string) => `mutation { ${text(id)} }`,
  })),
];

/** What only the administrator may do. */
export const ADMINISTRATION: Readonly<Record<string, string>> = {
  accounts: `{ accounts { totalCount nodes { ${ACCOUNT} } } }`,
  createAccount: `mutation { createAccount(input: { email: "new@example.com", name: "New" }) { ${ACCOUNT} } }`,
};
