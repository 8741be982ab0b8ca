import { GraphQLJSONObject } from 'graphql-scalars';
import { Arg, Args, ArgsType, Ctx, Field, ID, ObjectType, Query, Resolver } from 'type-graphql';
import { isId } from '../core/ids.ts';
import type { DeliveryPreview as Preview } from '../manage/delivery-previews.ts';
import type { GraphQLContext } from './context.ts';
import { requireRow } from './errors.ts';
import { HttpMethod, RouteOutcome } from './object-types.ts';

@ObjectType({ description: 'The request that a destination would get for an event. Nothing was sent.' })
class DeliveryPreview {
  @Field(() => RouteOutcome, {
    description: 'Whether the event would go to the destination. The request is shown in any case.',
  })
  outcome!: Preview['outcome'];

  @Field(() => String, {
    nullable: true,
    description: 'The place in the payload that does not match the filter; null unless the outcome is FILTERED.',
  })
  path!: string | null;

  @Field(() => HttpMethod, { description: 'The method of the request.' })
  method!: string;

  @Field(() => String, { nullable: true, description: 'The URL with its query.' })
  url!: string | null;

  @Field(() => GraphQLJSONObject, {
    nullable: true,
    description:
      'The headers in their order; repeated ones have a list of values. Unless revealed, secret values are ***: those of Authorization, Proxy-Authorization and Cookie, and of names with key, token, secret, auth or password. The signature is that of the real request.',
  })
  headers!: Preview['headers'];

  @Field(() => String, { nullable: true, description: 'The body; null for a GET.' })
  body!: string | null;

  @Field(() => String, { nullable: true, description: 'The same request as a command for a POSIX shell.' })
  curl!: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      'Why there can be no request, such as TRANSFORM_FAILED or URL_TOO_LONG and a sentence; null if there can be one.',
  })
  error!: string | null;
}

@ArgsType()
class PreviewArgs {
  @Field(() => ID, { description: "The destination's id." })
  destinationId!: string;

  @Field(() => String, { description: 'The payload: one JSON object, at most 100 KiB.' })
  payloadText!: string;

  @Field(() => String, {
    nullable: true,
    description: "The event's type. Without it the account's eventTypePath is looked up in the payload.",
  })
  type?: string | null;
}

@Resolver()
export class DeliveryPreviewResolver {
  @Query(() => DeliveryPreview, {
    description:
      'Shows whether an event would go to a destination, and with what request. It sends and stores nothing.',
  })
  async previewDelivery(
    @Args(() => PreviewArgs) { destinationId, payloadText, type }: PreviewArgs,
    @Arg('reveal', () => Boolean, {
      nullable: true,
      defaultValue: false,
      description: 'Shows the secret values of headers.',
    })
    reveal: boolean | null,
    @Ctx() { accounts, previews }: GraphQLContext,
  ): Promise<Preview> {
    const found = isId(destinationId) ? await accounts.destination(destinationId) : undefined;
    const destination = requireRow(found, 'destination');
    const account = requireRow(await accounts.account(destination.account.id), 'destination');
    return previews.preview(destination, account, { payloadText, type: type ?? null }, reveal ?? false);
  }
}
