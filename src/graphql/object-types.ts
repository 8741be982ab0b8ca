import { GraphQLEmailAddress } from 'graphql-scalars';
import { Field, ID, Int, ObjectType, registerEnumType } from 'type-graphql';
import { connectionType } from './connection.ts';
import { DateTime, Duration } from './scalars.ts';
import { HTTP_METHODS } from '../core/inputs.ts';
import { DELIVERY_STATUSES } from '../core/delivery.ts';
import { ROUTE_OUTCOMES, type RouteOutcome as Outcome } from '../core/routing.ts';

@ObjectType({ description: 'A sender of events. Its token authenticates each event, and its destinations get them.' })
export class Account {
  @Field(() => ID, { description: 'Made by the server; sorts by time of creation.' })
  id!: string;

  @Field(() => GraphQLEmailAddress, { description: 'Unique without regard to letter case.' })
  email!: string;

  @Field(() => String, { description: 'A name for people to read.' })
  name!: string;

  @Field(() => String, {
    nullable: true,
    description: 'An http or https URL, or a host name, exactly as it was given.',
  })
  website!: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      "A dotted path to the type in each event's payload. It counts for events without the header X-Event-Type. Null for none.",
  })
  eventTypePath!: string | null;

  @Field(() => DateTime, { description: 'When the account was created.' })
  createdAt!: Date;

  @Field(() => DateTime, { description: 'When the account was last changed.' })
  updatedAt!: Date;
}

export const AccountConnection = connectionType(Account, 'Account', 'accounts');

export const HttpMethod = Object.fromEntries(HTTP_METHODS.map((method) => [method, method]));
registerEnumType(HttpMethod, {
  name: 'HttpMethod',
  description: 'The method of the requests to a destination.',
  valuesConfig: {
    GET: { description: 'The payload is sent as query parameters.' },
    POST: { description: 'The payload is sent as the body.' },
    PUT: { description: 'The payload is sent as the body.' },
    PATCH: { description: 'The payload is sent as the body.' },
    DELETE: { description: 'The payload is sent as the body.' },
  },
});

@ObjectType({ description: 'At most so many attempts, by all workers together, spread evenly over the time.' })
class RateLimit {
  @Field(() => Int, { description: 'How many attempts, from 1 to 10,000. Retries count too.' })
  count!: number;

  @Field(() => Duration, { description: 'In how long, from PT1S to P1D.' })
  per!: number;
}

@ObjectType({
  description:
    "How a destination gets its deliveries. What it leaves open is the server's default, and is shown as such.",
})
export class DeliveryPolicy {
  @Field(() => Duration, { description: 'How long one request may take, connecting included.' })
  timeout!: number;

  @Field(() => [Duration], { description: 'The wait before each retry; an empty list means no retries.' })
  retrySchedule!: readonly number[];

  @Field(() => Int, { description: 'How many requests may be under way at the same time, in each worker process.' })
  maxConcurrency!: number;

  @Field(() => RateLimit, { nullable: true, description: 'Null for no limit.' })
  rateLimit!: RateLimit | null;

  @Field(() => [Int], { description: 'Status codes that end a delivery at once, besides 410, which always does.' })
  stopOn!: readonly number[];

  @Field(() => String, {
    nullable: true,
    description:
      'A dotted path in the payload: deliveries with an equal value there go one at a time, in the order in which their events were stored. "*" for all of them; null for no order.',
  })
  orderBy!: string | null;
}

@ObjectType({ description: 'A URL that gets the events of its account: all of them, or those that it asks for.' })
export class Destination {
  @Field(() => ID, { description: 'Made by the server; sorts by time of creation.' })
  id!: string;

  @Field(() => String, { description: 'An absolute http or https URL, exactly as it was given.' })
  url!: string;

  @Field(() => HttpMethod, { description: 'The method of the requests.' })
  httpMethod!: string;

  @Field(() => String, { nullable: true, description: 'A name for people to read.' })
  name!: string | null;

  @Field(() => String, { nullable: true, description: 'Text for people to read.' })
  description!: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'The JSONata expression that makes the body from the payload. Null sends the payload as it is.',
  })
  transform!: string | null;

  @Field(() => DateTime, {
    nullable: true,
    description:
      'When the destination was disabled, by an update or because it answered 410 Gone. Pending deliveries wait until it is enabled again. Null while it is enabled.',
  })
  disabledAt!: Date | null;

  @Field(() => DateTime, { description: 'When the destination was created.' })
  createdAt!: Date;

  @Field(() => DateTime, { description: 'When the destination was last changed.' })
  updatedAt!: Date;
}

export const DeliveryStatus = Object.fromEntries(DELIVERY_STATUSES.map((status) => [status, status]));
registerEnumType(DeliveryStatus, {
  name: 'DeliveryStatus',
  description: 'The state of a delivery.',
  valuesConfig: {
    PENDING: { description: 'An attempt is due, scheduled or under way.' },
    SUCCEEDED: { description: 'The destination answered with a 2xx status.' },
    FAILED: { description: 'No attempt is left. `retryDelivery` starts again.' },
  },
});

@ObjectType({ description: 'One event on its way to one destination.' })
export class Delivery {
  @Field(() => ID, { description: 'Also sent to the destination as the header webhook-id, the same on every attempt.' })
  id!: string;

  @Field(() => DeliveryStatus, { description: 'The state of the delivery.' })
  status!: string;

  @Field(() => Int, { description: 'The number of attempts, including one under way.' })
  attemptCount!: number;

  @Field(() => DateTime, {
    nullable: true,
    description: 'When the delivery finished; null while it is pending.',
  })
  completedAt!: Date | null;
}

@ObjectType({ description: 'One request to a destination, and its outcome.' })
export class Attempt {
  @Field(() => Int, { description: 'Counts from 1.' })
  number!: number;

  @Field(() => DateTime, { description: 'When the request began.' })
  startedAt!: Date;

  @Field(() => Int, { description: 'The duration of the request in milliseconds.' })
  durationMs!: number;

  @Field(() => Int, { nullable: true, description: 'The HTTP status of the response; null when there was none.' })
  statusCode!: number | null;

  @Field(() => String, {
    nullable: true,
    description:
      'Why the attempt failed, as a stable code such as HTTP_STATUS, TIMEOUT, DNS, CONNECTION_REFUSED, TLS, ADDRESS_REFUSED or TRANSFORM_FAILED; null when it succeeded.',
  })
  error!: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      'The reason for the error in words, at most 500 characters: why a transformation failed, what is wrong with the certificate, which address was refused. Null if nothing is known that the code does not say.',
  })
  message!: string | null;
}

export const DeliveryConnection = connectionType(Delivery, 'Delivery', 'deliveries');

@ObjectType({
  description:
    'A JSON object that was received for an account. It is delivered to each destination that the account had then and that asked for it.',
})
export class Event {
  @Field(() => ID, { description: 'Made by the server; sorts by time of arrival.' })
  id!: string;

  @Field(() => DateTime, { description: 'When the event was received.' })
  receivedAt!: Date;

  @Field(() => String, {
    nullable: true,
    description: 'What kind of event it is, by the header X-Event-Type or by eventTypePath; null if it has no type.',
  })
  type!: string | null;
}

export const RouteOutcome = Object.fromEntries(ROUTE_OUTCOMES.map((outcome) => [outcome, outcome]));
registerEnumType(RouteOutcome, {
  name: 'RouteOutcome',
  description: 'Whether an event goes to a destination.',
  valuesConfig: {
    ROUTED: { description: 'It has a delivery.' },
    TYPE_MISMATCH: { description: 'The destination does not take this type.' },
    FILTERED: { description: 'The payload does not match the filter.' },
    DISABLED: { description: 'The destination was disabled.' },
  },
});

@ObjectType({ description: 'How an event was routed to one of the destinations that the account had when it arrived.' })
export class Route {
  @Field(() => ID, { description: "The destination's id, which stays when the destination is deleted." })
  destinationId!: string;

  @Field(() => RouteOutcome, { description: 'Whether the event went there.' })
  outcome!: Outcome;

  @Field(() => String, {
    nullable: true,
    description: 'The place in the payload that did not match the filter; null unless the outcome is FILTERED.',
  })
  path!: string | null;
}

export const EventConnection = connectionType(Event, 'Event', 'events');
