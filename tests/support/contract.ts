/** The names that clients rely on: what the schema must have. A change here is a breaking change or a new feature. */
export const CONTRACT = /* GraphQL */ `
  scalar DateTime
  scalar Duration
  scalar EmailAddress
  scalar JSON
  scalar JSONObject
  enum HttpMethod { GET POST PUT PATCH DELETE }
  enum DeliveryStatus { PENDING SUCCEEDED FAILED }
  enum RouteOutcome { ROUTED TYPE_MISMATCH FILTERED DISABLED }

  type Account {
    id: ID!  email: EmailAddress!  name: String!  website: String
    eventTypePath: String  appSecretToken: String!  createdAt: DateTime!  updatedAt: DateTime!
    destinations: [Destination!]!
    events(first: Int = 20, after: String): EventConnection!
  }
  type Destination {
    id: ID!  account: Account!  url: String!  httpMethod: HttpMethod!  headers: JSONObject!
    name: String  description: String  eventTypes: [String!]  filter: JSONObject
    policy: DeliveryPolicy!
    transform: String
    signingSecret: String!  disabledAt: DateTime  createdAt: DateTime!  updatedAt: DateTime!
    deliveries(first: Int = 20, after: String, status: DeliveryStatus): DeliveryConnection!
  }
  type Event {
    id: ID!  account: Account!  receivedAt: DateTime!
    payload: JSON!  payloadText: String!  deliveries: [Delivery!]!
    type: String  routes: [Route!]!
  }
  type DeliveryPolicy {
    timeout: Duration!  retrySchedule: [Duration!]!  maxConcurrency: Int!  rateLimit: RateLimit
    stopOn: [Int!]!  orderBy: String
  }
  type RateLimit { count: Int!  per: Duration! }
  type Route {
    destinationId: ID!  destination: Destination  outcome: RouteOutcome!  path: String  delivery: Delivery
  }
  type DeliveryPreview {
    outcome: RouteOutcome!  path: String  method: HttpMethod!  url: String  headers: JSONObject
    body: String  curl: String  error: String
  }
  type Delivery {
    id: ID!  event: Event!  destination: Destination!  status: DeliveryStatus!
    attemptCount: Int!  nextAttemptAt: DateTime  completedAt: DateTime  attempts: [Attempt!]!
  }
  type Attempt {
    number: Int!  startedAt: DateTime!  durationMs: Int!  statusCode: Int  error: String  message: String
    responseBody: String
  }

  type PageInfo { hasNextPage: Boolean!  hasPreviousPage: Boolean!  startCursor: String  endCursor: String }
  type AccountEdge { cursor: String!  node: Account! }
  type AccountConnection { edges: [AccountEdge!]!  nodes: [Account!]!  pageInfo: PageInfo!  totalCount: Int }
  type EventEdge { cursor: String!  node: Event! }
  type EventConnection { edges: [EventEdge!]!  nodes: [Event!]!  pageInfo: PageInfo!  totalCount: Int }
  type DeliveryEdge { cursor: String!  node: Delivery! }
  type DeliveryConnection { edges: [DeliveryEdge!]!  nodes: [Delivery!]!  pageInfo: PageInfo!  totalCount: Int }

  type Query {
    account(id: ID!): Account
    accounts(first: Int = 20, after: String): AccountConnection!
    destination(id: ID!): Destination
    destinations(accountId: ID!): [Destination!]!
    event(id: ID!): Event
    delivery(id: ID!): Delivery
    previewDelivery(destinationId: ID!, payloadText: String!, type: String, reveal: Boolean = false): DeliveryPreview!
  }
  type Mutation {
    createAccount(input: CreateAccountInput!): Account!
    updateAccount(id: ID!, input: UpdateAccountInput!): Account!
    deleteAccount(id: ID!): ID!
    rotateAppSecretToken(accountId: ID!): Account!
    createDestination(input: CreateDestinationInput!): Destination!
    updateDestination(id: ID!, input: UpdateDestinationInput!): Destination!
    deleteDestination(id: ID!): ID!
    rotateSigningSecret(destinationId: ID!, overlap: Duration = "PT24H"): Destination!
    retryDelivery(id: ID!): Delivery!
  }

  input CreateAccountInput { email: EmailAddress!  name: String!  website: String  eventTypePath: String }
  input UpdateAccountInput { email: EmailAddress  name: String  website: String  eventTypePath: String }
  input CreateDestinationInput {
    accountId: ID!  url: String!  httpMethod: HttpMethod!  headers: JSONObject!
    name: String  description: String  eventTypes: [String!]  filter: JSONObject  policy: DeliveryPolicyInput
    transform: String
  }
  input UpdateDestinationInput {
    url: String  httpMethod: HttpMethod  headers: JSONObject  enabled: Boolean
    name: String  description: String  eventTypes: [String!]  filter: JSONObject  policy: DeliveryPolicyInput
    transform: String
  }
  input DeliveryPolicyInput {
    timeout: Duration  retrySchedule: [Duration!]  maxConcurrency: Int  rateLimit: RateLimitInput
    stopOn: [Int!]  orderBy: String
  }
  input RateLimitInput { count: Int!  per: Duration! }
`;
