import type { AccountCommands } from '../manage/account-commands.ts';
import type { DeliveryCommands } from '../manage/delivery-commands.ts';
import type { DestinationCommands } from '../manage/destination-commands.ts';
import type { Vault } from '../core/vault.ts';
import type { Meter } from '../storage/read-models/reading.ts';
import type { Reads } from '../storage/read-models/reads.ts';
import { ANSWER_POOL } from './answer.ts';
import { Budget } from './budget.ts';
import type { Caller } from '../access/authentication.ts';
import { ANSWER_TURNS } from './answer-turns.ts';

export interface Commands {
  readonly accounts: AccountCommands;
  readonly destinations: DestinationCommands;
  readonly deliveries: DeliveryCommands;
}

/** What the resolvers of one request share: its reads (and their cache), its budget, and the commands. */
export interface GraphQLContext extends Reads {
  readonly caller: Caller;
  readonly commands: Commands;
  readonly budget: Budget;
  /** Opens the secrets of what the request has read. */
  readonly vault: Vault;
}

interface OfTheCaller extends Pick<GraphQLContext, 'caller' | 'commands' | 'vault'> {
  /** In the scope of the caller, as the commands are. */
  readonly reads: (meter: Meter) => Reads;
}

/** Its budget is to be released when the answer has been taken. */
export function createContext({ reads, ...others }: OfTheCaller): GraphQLContext {
  const budget = new Budget({ caller: others.caller, pool: ANSWER_POOL, turns: ANSWER_TURNS });
  return { ...reads(budget), ...others, budget };
}
