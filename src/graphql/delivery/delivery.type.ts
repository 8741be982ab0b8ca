import { Field, ID, Int, ObjectType, registerEnumType } from 'type-graphql';
import { DELIVERY_STATUSES } from '../../core/delivery.ts';
import { connectionType } from '../connection.ts';
import { DateTime } from '../scalars.ts';

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
