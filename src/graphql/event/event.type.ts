import { Field, ID, ObjectType } from 'type-graphql';
import { connectionType } from '../connection.ts';
import { DateTime } from '../scalars.ts';

@ObjectType({ description: 'A JSON object that was received, on its way to every destination its account had then.' })
export class Event {
  @Field(() => ID, { description: 'Made by the server; sorts by time of arrival.' })
  id!: string;

  @Field(() => DateTime, { description: 'When the event was received.' })
  receivedAt!: Date;
}

export const EventConnection = connectionType(Event, 'Event', 'events');
