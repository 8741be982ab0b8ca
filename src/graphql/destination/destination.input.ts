import { GraphQLJSONObject } from 'graphql-scalars';
import { Field, ID, InputType } from 'type-graphql';
import type { HttpMethod as Method } from '../../core/destination-input.ts';
import { HttpMethod } from './destination.type.ts';

const HEADERS_DESCRIPTION =
  'At least one header. Each value is a string, or a list of strings that are sent as repeated headers. Names keep their letter case.';

@InputType({ description: 'A new destination of an account.' })
export class CreateDestinationInput {
  @Field(() => ID, { description: 'The account whose events the destination gets.' })
  accountId!: string;

  @Field(() => String, { description: 'An absolute http or https URL without user name and password.' })
  url!: string;

  @Field(() => HttpMethod, { description: 'The method of the requests.' })
  httpMethod!: Method;

  @Field(() => GraphQLJSONObject, { description: HEADERS_DESCRIPTION })
  headers!: Record<string, unknown>;
}

@InputType({ description: 'Changes to a destination. What is left out stays as it is.' })
export class UpdateDestinationInput {
  @Field(() => String, { nullable: true, description: 'An absolute http or https URL without user name and password.' })
  url?: string | null;

  @Field(() => HttpMethod, { nullable: true, description: 'The method of the requests.' })
  httpMethod?: Method | null;

  @Field(() => GraphQLJSONObject, { nullable: true, description: `Replaces all headers. ${HEADERS_DESCRIPTION}` })
  headers?: Record<string, unknown> | null;

  @Field(() => Boolean, {
    nullable: true,
    description:
      'False disables the destination: new events create no deliveries for it, pending ones wait. True enables it again, and what is pending goes on.',
  })
  enabled?: boolean | null;
}
