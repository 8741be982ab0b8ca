import { GraphQLEmailAddress } from 'graphql-scalars';
import { Field, ID, ObjectType } from 'type-graphql';
import { connectionType } from '../connection.ts';
import { DateTime } from '../scalars.ts';

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
