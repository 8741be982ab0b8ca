import type { AccountCommands } from '../manage/account-commands.ts';
import type { DeliveryCommands } from '../manage/delivery-commands.ts';
import type { DestinationCommands } from '../manage/destination-commands.ts';
import { AccountReads } from '../storage/read-models/accounts.ts';
import { DeliveryReads } from '../storage/read-models/deliveries.ts';
import { EventReads } from '../storage/read-models/events.ts';
import type { EntityManager } from '../storage/storage.ts';
import { Budget } from './budget.ts';

export interface Commands {
  readonly accounts: AccountCommands;
  readonly destinations: DestinationCommands;
  readonly deliveries: DeliveryCommands;
}

/** What the resolvers of one request share: its reads (and their cache), its budget, and the commands. */
export interface GraphQLContext {
  readonly accounts: AccountReads;
  readonly events: EventReads;
  readonly deliveries: DeliveryReads;
  readonly commands: Commands;
  readonly budget: Budget;
}

export function createContext(fork: () => EntityManager, commands: Commands): GraphQLContext {
  const em = fork();
  return {
    accounts: new AccountReads(em),
    events: new EventReads(em),
    deliveries: new DeliveryReads(em),
    commands,
    budget: new Budget(),
  };
}
