import { afterAll, beforeAll, test } from '@jest/globals';
import {
  assert as expectAlways,
  asyncModelRun,
  asyncProperty,
  commands,
  constantFrom,
  nat,
  noBias,
  tuple,
} from 'fast-check';
import { ACTORS, Administer, Operate, type Reality, Send } from '../support/access-commands.ts';
import { type ModelAccount, type Owner, OWNERS, World } from '../support/access-model.ts';
import { ADMIN_TOKEN, administratorOf, type Caller } from '../support/caller.ts';
import { createHousehold } from '../support/household.ts';
import { ADMINISTRATION, type Operation, OPERATIONS } from '../support/operations.ts';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

const RUNS = 20;
const COMMANDS_MAX = 30;

let app: TestApp;
let receiver: Receiver;
let administrator: Caller;

beforeAll(async () => {
  receiver = await Receiver.start();
  // A single attempt: deliveries soon come to an end, and can be retried.
  app = await TestApp.start({ ADMIN_TOKEN, RETRY_SCHEDULE: 'none' });
  administrator = administratorOf(app);
});

afterAll(async () => {
  await app.stop();
  await receiver.stop();
});

async function createAccount(): Promise<ModelAccount> {
  const { ids, token } = await createHousehold(administrator, receiver);
  const { account, destination, event, delivery } = ids;
  return {
    id: account,
    token,
    name: 'Test',
    headersOf: new Map([[destination, { 'X-Secret': account }]]),
    deliveriesOf: new Map([[event, new Map([[delivery, destination]])]]),
  };
}

async function setUp(): Promise<{ model: World; real: Reality }> {
  const accounts: Record<Owner, ModelAccount> = { first: await createAccount(), second: await createAccount() };
  return {
    model: new World(accounts),
    real: { administrator, ids: { first: accounts.first.id, second: accounts.second.id } },
  };
}

const actor = constantFrom(...ACTORS);
const owner = constantFrom(...OWNERS);
const number = noBias(nat(50));
const deleteAccount = OPERATIONS.find(({ field }) => field === 'deleteAccount') as Operation;
const lasting = OPERATIONS.filter((one) => one !== deleteAccount);

/** Accounts are deleted seldom, because not much can happen to what is gone. */
const deletion = tuple(actor, nat(9), number).map(([one, dice, at]) =>
  dice === 0 ? new Operate(one, deleteAccount, at) : new Send('first'),
);

/** Each operation once on what is the other's, which chance may leave out. */
const everyTrespass = OPERATIONS.flatMap((one) => [new Operate('first', one, 1), new Operate('second', one, 0)]);

const sequences = commands(
  [
    tuple(actor, constantFrom(...lasting), number).map((parts) => new Operate(...parts)),
    tuple(owner, constantFrom(...lasting), number).map((parts) => new Operate(...parts)),
    tuple(owner, constantFrom(...lasting), number).map((parts) => new Operate(...parts)),
    tuple(owner, constantFrom(...Object.keys(ADMINISTRATION))).map((parts) => new Administer(...parts)),
    owner.map((one) => new Send(one)),
    deletion,
  ],
  { maxCommands: COMMANDS_MAX, size: 'max' },
);

test('whatever two accounts and the administrator do, neither account touches the other, or learns of it', async () => {
  const holds = asyncProperty(sequences, (list) => asyncModelRun(setUp, list));
  await expectAlways(holds, { numRuns: RUNS, examples: [[everyTrespass]] });
}, 300_000);
