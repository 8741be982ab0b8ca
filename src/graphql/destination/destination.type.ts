import { Field, ID, ObjectType, registerEnumType } from 'type-graphql';
import { HTTP_METHODS } from '../../core/destination-input.ts';
import { DateTime } from '../scalars.ts';

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
