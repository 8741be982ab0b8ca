import { GraphQLDateTime } from 'graphql-scalars';
import { Field, ID, ObjectType } from 'type-graphql';
import { connectionType } from '../connection.ts';

@ObjectType({ description: 'A JSON object that was received, on its way to every destination its account had then.' })
export class Event {
  @Field(() => ID, { description: 'Made by the server; sorts by time of arrival.' })
  id!: string;

  @Field(() => GraphQLDateTime, { description: 'When the event was received.' })
  receivedAt!: Date;
}

export const EventConnection = connectionType(Event, 'Event', 'events');
