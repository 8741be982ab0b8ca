import { type Kysely, sql } from 'kysely';
import type { HeaderEntry } from '../core/inputs.ts';
import type { SigningSecret } from '../core/signature.ts';
import { type Vault, VaultError } from '../core/vault.ts';
import type { Commits } from './group-commit.ts';
import {
  type AttemptRecord,
  type Claim,
  type ClaimedDelivery,
  type ClaimRequest,
  type FoundLane,
  type FoundRetry,
  type LaneClaimRequest,
  type LaneSearch,
  LOST_COUNT_MAX,
  type LostClaimRequest,
  type RetrySearch,
  type SealedDelivery,
  type Statements,
} from './statements.ts';

/** Where writes wait for their commit; one for all kinds, or one for each, so that none waits for another. */
export interface DeliveryCommits {
  readonly claims: Commits;
  readonly laneClaims: Commits;
  readonly records: Commits;
  readonly releases: Commits;
}

/** What every store is made of. */
export interface StoreParts {
  readonly database: Kysely<unknown>;
  readonly statements: Statements;
  readonly vault: Vault;
}

/** The durable truth about deliveries; whatever queues and workers hold in memory can be lost. */
export class DeliveryStore {
  readonly #database: Kysely<unknown>;
  readonly #statements: Statements;
  readonly #secrets: OpenedSecrets;
  readonly #claim: (request: ClaimRequest) => Promise<SealedDelivery | undefined>;
  readonly #claimLane: (request: LaneClaimRequest) => Promise<readonly SealedDelivery[]>;
  readonly #claimLost: (request: LostClaimRequest) => Promise<SealedDelivery | undefined>;
  readonly #record: (record: AttemptRecord) => Promise<boolean>;
  readonly #release: (claim: Claim) => Promise<boolean>;

  constructor(commits: DeliveryCommits, { database, statements, vault }: StoreParts) {
    this.#secrets = new OpenedSecrets(vault);
    this.#database = database;
    this.#statements = statements;
    this.#claim = commits.claims.register(statements.claims);
    this.#claimLane = commits.laneClaims.register(statements.laneClaims);
    this.#claimLost = commits.laneClaims.register(statements.lostClaims);
    this.#record = commits.records.register(statements.records);
    this.#release = commits.releases.register(statements.releases);
  }

  /**
   * The delivery is the caller's until the lease ends.
   *
   * @returns `undefined` when the delivery is finished, deleted, or somebody else's.
   */
  async claim(request: ClaimRequest): Promise<ClaimedDelivery | undefined> {
    const sealed = await this.#claim(request);
    return sealed && this.#open(sealed);
  }

  /**
   * Claims the oldest due deliveries of a destination. No second call for it while one is under way.
   *
   * @returns fewer than asked for only when there are no more from there on.
   */
  async claimLane(request: LaneClaimRequest): Promise<ClaimedDelivery[]> {
    return (await this.#claimLane(request)).map((sealed) => this.#open(sealed));
  }

  /**
   * Takes over a delivery whose worker has died, the one whose lost attempts count least.
   *
   * @returns `undefined` when there is none.
   */
  async claimLost(request: LostClaimRequest): Promise<ClaimedDelivery | undefined> {
    const sealed = await this.#claimLost(request);
    return sealed && this.#open(sealed);
  }

  /** @returns false when the delivery was deleted, or a newer attempt has begun; nothing is recorded then. */
  record(attempt: AttemptRecord): Promise<boolean> {
    return this.#record(attempt);
  }

  /** Gives back claims whose request was never sent: they can be claimed at once, and the attempt does not count. */
  async release(claims: readonly Claim[]): Promise<void> {
    await Promise.all(claims.map((claim) => this.#release(claim)));
  }

  /** Ends all leases. Only for a process that starts as the sole owner of the database: whoever held them is dead. */
  async recoverLeases(): Promise<void> {
    await this.#statements.recoverLeases().execute(this.#database);
  }

  /** Destinations with pending deliveries, and whether they have something to do now. */
  async findLanes(search: LaneSearch): Promise<readonly FoundLane[]> {
    return (await this.#statements.findLanes(search).execute(this.#database)).rows;
  }

  /** Retries whose time has come. */
  async findRetries(search: RetrySearch): Promise<readonly FoundRetry[]> {
    return (await this.#statements.findRetries(search).execute(this.#database)).rows;
  }

  /** Which of these destinations get nothing. */
  async disabledAmong(destinationIds: readonly string[]): Promise<string[]> {
    const { rows } = await sql<{ id: string }>`
      select id from destination where id in (${sql.join(destinationIds)}) and disabled_at is not null`.execute(
      this.#database,
    );
    return rows.map(({ id }) => id);
  }

  /**
   * Reads the bytes as they were received.
   *
   * @param target is as long as the payload
   * @returns false when the event was deleted
   */
  async readPayload(eventId: string, target: Buffer): Promise<boolean> {
    let length = 0;
    while (length < target.length) {
      const { rows } = await this.#statements.payloadPart(eventId, length).execute(this.#database);
      const [part] = rows;
      if (part === undefined || part.bytes.length === 0) {
        return false;
      }
      length += part.bytes.copy(target, length);
      freeAtOnce(part.bytes);
    }
    return true;
  }

  /** What cannot be opened is the outcome of this delivery, and of no other. */
  #open(sealed: SealedDelivery): ClaimedDelivery {
    const { sealedHeaders, sealedSigningSecret, sealedPreviousSecret, previousSecretUntil, ...delivery } = sealed;
    const open = (text: string) => this.#secrets.open(text, delivery.accountId);
    try {
      const signingSecrets: SigningSecret[] = [{ secret: open(sealedSigningSecret), signsUntil: null }];
      if (sealedPreviousSecret !== null) {
        signingSecrets.push({ secret: open(sealedPreviousSecret), signsUntil: previousSecretUntil ?? 0 });
      }
      const headers = JSON.parse(open(sealedHeaders)) as HeaderEntry[];
      return { ...delivery, headers, signingSecrets, problem: givenUp(sealed) };
    } catch (error) {
      if (error instanceof VaultError || error instanceof SyntaxError) {
        return { ...delivery, headers: [], signingSecrets: [], problem: givenUp(sealed) ?? 'SECRET_UNREADABLE' };
      }
      throw error;
    }
  }
}

function givenUp({ lostCount }: SealedDelivery): 'WORKER_DIED' | null {
  return lostCount >= LOST_COUNT_MAX ? 'WORKER_DIED' : null;
}

/** And not when the garbage is collected: a few large payloads would add up. */
function freeAtOnce({ buffer, length }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === length) {
    buffer.transfer(0);
  }
}

const KEPT_MAX = 2_000;

/** Opens what is sealed, and keeps what was opened last: every delivery to a destination needs the same. */
export class OpenedSecrets {
  readonly #vault: Vault;
  /** By owner and sealed text: what belongs to another owner must fail to open. The oldest come first. */
  readonly #opened = new Map<string, string>();

  constructor(vault: Vault) {
    this.#vault = vault;
  }

  /** @throws VaultError */
  open(sealed: string, ownerId: string): string {
    const key = `${ownerId} ${sealed}`;
    const known = this.#opened.get(key);
    if (known !== undefined) {
      return known;
    }
    const opened = this.#vault.open(sealed, ownerId);
    if (this.#opened.size >= KEPT_MAX) {
      const [oldest = ''] = this.#opened.keys();
      this.#opened.delete(oldest);
    }
    this.#opened.set(key, opened);
    return opened;
  }
}
