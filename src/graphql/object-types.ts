import { GraphQLEmailAddress } from 'graphql-scalars';
import { Field, ID, Int, ObjectType, registerEnumType } from 'type-graphql';
import { connectionType } from './connection.ts';
import { DateTime } from './scalars.ts';
import { HTTP_METHODS } from '../core/inputs.ts';
import { DELIVERY_STATUSES } from '../core/delivery.ts';

@ObjectType({ description: 'A sender of events. Its token goes with every event, its destinations get them.' })
export class Account {
  @Field(() => ID, { description: 'Made by the server; sorts by time of creation.' })
  id!: string;

  @Field(() => GraphQLEmailAddress, { description: 'Unique without regard to letter case.' })
  email!: string;

  @Field(() => String, { description: 'What people call the account.' })
  name!: string;

  @Field(() => String, { nullable: true, description: 'An http or https URL, or a host name, as it was given.' })
  website!: string | null;

  @Field(() => DateTime, { description: 'When the account was created.' })
  createdAt!: Date;

  @Field(() => DateTime, { description: 'When the account was last changed.' })
  updatedAt!: Date;
}

export const AccountConnection = connectionType(Account, 'Account', 'accounts');

export const HttpMethod = Object.fromEntries(HTTP_METHODS.map((method) => [method, method]));
registerEnumType(HttpMethod, {
  name: 'HttpMethod',
  description: 'How a destination is called.',
  valuesConfig: {
    GET: { description: 'The payload travels as query parameters.' },
    POST: { description: 'The payload travels as the body.' },
    PUT: { description: 'The payload travels as the body.' },
    PATCH: { description: 'The payload travels as the body.' },
    DELETE: { description: 'The payload travels as the body.' },
  },
});

@ObjectType({ description: 'A URL that gets every event of its account.' })
export class Destination {
  @Field(() => ID, { description: 'Made by the server; sorts by time of creation.' })
  id!: string;

  @Field(() => String, { description: 'An absolute http or https URL, exactly as it was given.' })
  url!: string;

  @Field(() => HttpMethod, { description: 'The method of the requests.' })
  httpMethod!: string;

  @Field(() => DateTime, {
    nullable: true,
    description:
      'Since when the destination gets nothing: it has answered 410 Gone, or was disabled by an update. Deliveries that are pending wait until it is enabled again. Null while it is enabled.',
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
  description: 'How a delivery stands.',
  valuesConfig: {
    PENDING: { description: 'To be attempted, now or at its next time, or under way.' },
    SUCCEEDED: { description: 'The destination answered with a 2xx status.' },
    FAILED: { description: 'All attempts are used up. `retryDelivery` begins again.' },
  },
});

@ObjectType({ description: 'One event on its way to one destination.' })
export class Delivery {
  @Field(() => ID, { description: 'Also sent to the destination as the header webhook-id, the same on every attempt.' })
  id!: string;

  @Field(() => DeliveryStatus, { description: 'How the delivery stands.' })
  status!: string;

  @Field(() => Int, { description: 'How many attempts were begun, one under way included.' })
  attemptCount!: number;

  @Field(() => DateTime, {
    nullable: true,
    description: 'When the delivery finished; null while it is pending.',
  })
  completedAt!: Date | null;
}

@ObjectType({ description: 'One request to a destination, and what became of it.' })
export class Attempt {
  @Field(() => Int, { description: 'Counts from 1.' })
  number!: number;

  @Field(() => DateTime, { description: 'When the request began.' })
  startedAt!: Date;

  @Field(() => Int, { description: 'How long it took, in milliseconds.' })
  durationMs!: number;

  @Field(() => Int, { nullable: true, description: 'The HTTP status of the answer; null when there was none.' })
  statusCode!: number | null;

  @Field(() => String, {
    nullable: true,
    description:
      'Why the attempt failed, as a stable code such as HTTP_STATUS, TIMEOUT, DNS, CONNECTION_REFUSED, TLS or ADDRESS_REFUSED; null when it succeeded.',
  })
  error!: string | null;
}

export const DeliveryConnection = connectionType(Delivery, 'Delivery', 'deliveries');

@ObjectType({ description: 'A JSON object that was received, on its way to every destination its account had then.' })
export class Event {
  @Field(() => ID, { description: 'Made by the server; sorts by time of arrival.' })
  id!: string;

  @Field(() => DateTime, { description: 'When the event was received.' })
  receivedAt!: Date;
}

export const EventConnection = connectionType(Event, 'Event', 'events');
