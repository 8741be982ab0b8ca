import type { AccountCommands } from '../manage/account-commands.ts';
import type { DeliveryCommands } from '../manage/delivery-commands.ts';
import type { DestinationCommands } from '../manage/destination-commands.ts';
import type { Reads } from '../storage/read-models/reads.ts';
import { Budget } from './budget.ts';

export interface Commands {
  readonly accounts: AccountCommands;
  readonly destinations: DestinationCommands;
  readonly deliveries: DeliveryCommands;
}

/** What the resolvers of one request share: its reads (and their cache), its budget, and the commands. */
export interface GraphQLContext extends Reads {
  readonly commands: Commands;
  readonly budget: Budget;
}

export function createContext(reads: Reads, commands: Commands): GraphQLContext {
  return { ...reads, commands, budget: new Budget() };
}
