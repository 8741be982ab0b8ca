import { GraphQLEmailAddress } from 'graphql-scalars';
import { Field, InputType } from 'type-graphql';

@InputType({ description: 'A new account. Its id and its token are made by the server.' })
export class CreateAccountInput {
  @Field(() => GraphQLEmailAddress, { description: 'Unique without regard to letter case.' })
  email!: string;

  @Field(() => String, { description: 'Not blank, at most 200 characters; white space around it is removed.' })
  name!: string;

  @Field(() => String, { nullable: true, description: 'An http or https URL, or a host name such as hello.com.' })
  website?: string | null;
}

@InputType({ description: 'Changes to an account. What is left out stays as it is.' })
export class UpdateAccountInput {
  @Field(() => GraphQLEmailAddress, { nullable: true, description: 'Unique without regard to letter case.' })
  email?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'Not blank, at most 200 characters; white space around it is removed.',
  })
  name?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'An http or https URL, or a host name such as hello.com; null removes it.',
  })
  website?: string | null;
}
