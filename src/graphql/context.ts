import type { AccountCommands } from '../manage/account-commands.ts';
import type { DeliveryCommands } from '../manage/delivery-commands.ts';
import type { DeliveryPreviews } from '../manage/delivery-previews.ts';
import type { DestinationCommands } from '../manage/destination-commands.ts';
import type { PolicyDefaults } from '../core/delivery-policy.ts';
import type { Vault } from '../core/vault.ts';
import type { Meter } from '../storage/read-models/reading.ts';
import type { Reads } from '../storage/read-models/reads.ts';
import { ANSWER_POOL } from './answer.ts';
import { Budget } from './budget.ts';
import type { Caller } from '../access/authentication.ts';
import { ANSWER_TURNS } from './answer-turns.ts';

interface Commands {
  readonly accounts: AccountCommands;
  readonly destinations: DestinationCommands;
  readonly deliveries: DeliveryCommands;
}

/** Shared by the resolvers of one request: the reads with their cache, the budget and the commands. */
export interface GraphQLContext extends Reads {
  readonly caller: Caller;
  readonly commands: Commands;
  readonly previews: DeliveryPreviews;
  readonly budget: Budget;
  /** Opens the secrets that the request has read. */
  readonly vault: Vault;
  readonly policyDefaults: PolicyDefaults;
}

interface ContextDependencies
  extends Pick<GraphQLContext, 'caller' | 'commands' | 'previews' | 'vault' | 'policyDefaults'> {
  /** In the caller's scope, as the commands are. */
  readonly reads: (meter: Meter) => Reads;
}

/** The budget must be released when the answer has been sent. */
export function createContext({ reads, ...others }: ContextDependencies): GraphQLContext {
  const budget = new Budget({ caller: others.caller, pool: ANSWER_POOL, turns: ANSWER_TURNS });
  return { ...reads(budget), ...others, budget };
}
