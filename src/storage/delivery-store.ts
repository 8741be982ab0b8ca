import type { Kysely } from 'kysely';
import type { HeaderEntry } from '../core/destination-input.ts';
import type { SigningSecret } from '../core/signature.ts';
import type { Ticket } from '../core/ticket.ts';
import type { Vault } from '../core/vault.ts';
import { Batch } from './batch.ts';
import type { CommitLine } from './commit-line.ts';
import { OpenedSecrets } from './opened-secrets.ts';
import type {
  AttemptRecord,
  ClaimedDelivery,
  ClaimRequest,
  DueRequest,
  SealedDelivery,
  Statements,
} from './statements.ts';

/** The lines in which writes wait for their commit; one for all kinds, or one for each. */
export interface DeliveryLines {
  readonly claims: CommitLine;
  readonly records: CommitLine;
}

/** What every store is made of. */
export interface StoreParts {
  readonly database: Kysely<unknown>;
  readonly statements: Statements;
  readonly vault: Vault;
}

/** The durable truth about deliveries; whatever queues and workers hold in memory can be lost. */
export class DeliveryStore {
  readonly #line: CommitLine;
  readonly #database: Kysely<unknown>;
  readonly #statements: Statements;
  readonly #secrets: OpenedSecrets;
  readonly #claims: Batch<ClaimRequest, SealedDelivery | undefined>;
  readonly #records: Batch<AttemptRecord, boolean>;

  constructor({ claims, records }: DeliveryLines, { database, statements, vault }: StoreParts) {
    this.#secrets = new OpenedSecrets(vault);
    this.#line = records;
    this.#database = database;
    this.#statements = statements;
    this.#claims = new Batch(claims, statements.claims);
    this.#records = new Batch(records, statements.records);
  }

  /**
   * @param leasedUntil milliseconds since the Unix epoch
   * @returns `undefined` when the delivery is finished, deleted, or somebody else's.
   */
  async claim(ticket: Ticket, leasedUntil: number): Promise<ClaimedDelivery | undefined> {
    const sealed = await this.#claims.add({ ticket, leasedUntil });
    return sealed && this.#open(sealed);
  }

  /** @returns false when the delivery was deleted, or a newer attempt has begun; nothing is recorded then. */
  record(attempt: AttemptRecord): Promise<boolean> {
    return this.#records.add(attempt);
  }

  #open(sealed: SealedDelivery): ClaimedDelivery {
    const { sealedHeaders, sealedSigningSecret, sealedPreviousSecret, previousSecretUntil, accountId, ...delivery } =
      sealed;
    const open = (text: string) => this.#secrets.open(text, accountId);
    const signingSecrets: SigningSecret[] = [{ secret: open(sealedSigningSecret), signsUntil: null }];
    if (sealedPreviousSecret !== null) {
      signingSecrets.push({ secret: open(sealedPreviousSecret), signsUntil: previousSecretUntil ?? 0 });
    }
    return { ...delivery, headers: JSON.parse(open(sealedHeaders)) as HeaderEntry[], signingSecrets };
  }

  /** Gives back claims whose request was never sent: they are due at once, and the attempt does not count. */
  async release(claims: readonly ClaimedDelivery[], now: number): Promise<void> {
    await this.#line.write(() => [this.#statements.release(claims, now)]);
  }

  /**
   * Makes every leased delivery due at once. Only for a process that starts as the sole owner of the
   * database, when whoever held the leases must be dead. An attempt without a record is how a lease is told
   * from a retry that waits for its time.
   */
  async recoverLeases(now: number): Promise<void> {
    await this.#line.write(() => [this.#statements.recoverLeases(now)]);
  }

  /**
   * Tickets for the oldest due deliveries of every destination, so many of each: a destination with a million
   * of them hides nobody else's. For as long as a ticket is good, nobody else gets one for the same delivery.
   */
  async takeDue(request: DueRequest): Promise<Ticket[]> {
    return (await this.#statements.takeDue(request).execute(this.#database)).rows;
  }

  /** The same for one destination. */
  async takeDueOf(destinationId: string, request: DueRequest): Promise<Ticket[]> {
    return (await this.#statements.takeDueOf(destinationId, request).execute(this.#database)).rows;
  }

  /** Tickets that will not be used: their deliveries are due at once. */
  async returnTickets(tickets: readonly Ticket[], now: number): Promise<void> {
    await this.#line.write(() => [this.#statements.returnTickets(tickets, now)]);
  }
}
