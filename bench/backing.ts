import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'amqplib';
import Database from 'better-sqlite3';
import { TemporaryDatabase } from './postgresql.ts';
import { UsageError } from './usage-error.ts';

export const PROFILES = ['sqlite', 'postgres', 'rabbitmq'] as const;
export type Profile = (typeof PROFILES)[number];

export type Row = Readonly<Record<string, unknown>>;

/** What an installation stores and queues with: empty at first, and gone afterwards. */
export interface Backing {
  readonly dialect: 'sqlite' | 'postgresql';
  readonly variables: Readonly<Record<string, string>>;
  /** Runs a statement past the server; on SQLite while none has the file. @returns the rows that it answers. */
  execute(statement: string): Promise<readonly Row[]>;
  /** Where the store has such a thing: whether it looks after its tables by itself, as it does by default. */
  readonly setAutovacuum?: (isOn: boolean) => Promise<void>;
  /** What the store takes on the disk. */
  bytes(): Promise<number>;
  /** Transactions committed so far, once nobody is connected; `undefined` where the store does not count them. */
  readonly commits?: () => Promise<number>;
  drop(): Promise<void>;
}

/** @param folder for files; it is the caller's to remove */
export async function createBacking(profile: Profile, folder: string): Promise<Backing> {
  if (profile === 'sqlite') {
    return sqliteBacking(folder);
  }
  const queueUrl = profile === 'rabbitmq' ? needed(profile, 'QUEUE_URL', /^amqps?:/u) : '';
  const database = await TemporaryDatabase.create(needed(profile, 'DATABASE_URL', /^postgres(?:ql)?:/u));
  const queueName = `data-pusher.bench-${crypto.randomUUID()}`;
  return {
    dialect: 'postgresql',
    execute: (statement) => database.execute(statement),
    setAutovacuum: (isOn) => database.setAutovacuum(isOn),
    variables: {
      DATABASE_URL: database.url,
      QUEUE_URL: queueUrl,
      QUEUE_NAME: queueName,
      ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    },
    bytes: () => database.bytes(),
    commits: () => database.commits(),
    drop: async () => {
      await database.drop();
      if (queueUrl !== '') {
        await deleteQueue(queueUrl, queueName);
      }
    },
  };
}

function sqliteBacking(folder: string): Backing {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'bench.db');
  return {
    dialect: 'sqlite',
    execute: async (statement) => {
      const database = new Database(path);
      const prepared = database.prepare<[], Row>(statement);
      const rows = prepared.reader ? prepared.all() : [];
      if (!prepared.reader) {
        prepared.run();
      }
      database.close();
      return rows;
    },
    variables: { DATABASE_URL: `sqlite:${path}`, QUEUE_URL: '' },
    bytes: async () =>
      [path, `${path}-wal`].filter((file) => existsSync(file)).reduce((sum, file) => sum + statSync(file).size, 0),
    drop: async () => undefined,
  };
}

function needed(profile: Profile, name: string, scheme: RegExp): string {
  const value = process.env[name] ?? '';
  if (!scheme.test(value)) {
    throw new UsageError(
      `The profile ${profile} needs ${name}, the URL of a server to make a database or queue of its own on. ` +
        '"npm run services" starts one and prints it.',
    );
  }
  return value;
}

async function deleteQueue(url: string, name: string): Promise<void> {
  const model = await connect(url);
  try {
    await (await model.createChannel()).deleteQueue(name);
  } finally {
    await model.close();
  }
}
