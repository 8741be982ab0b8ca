import { type Kysely, sql } from 'kysely';
import { LRUCache } from 'lru-cache';
import type { HeaderEntry } from '../core/inputs.ts';
import type { SigningSecret } from '../core/signature.ts';
import { type Vault, VaultError } from '../core/vault.ts';
import type { BatchKind, Commits } from './group-commit.ts';
import { claimKind, laneClaimKind, lostClaimKind, ratedClaimKind, type SealedClaims } from './claim-kinds.ts';
import type { DeliveryPlace, NextDelivery, PassedOver } from './delivery-order.ts';
import { ClaimedPolicies, type ClaimedPolicy } from './policy-columns.ts';
import type { FoundLane, FoundRetry, LaneSearch, RetrySearch } from './searches.ts';
import {
  type AttemptRecord,
  type Claim,
  type ClaimedDelivery,
  type ClaimRequest,
  type LaneClaimRequest,
  LOST_COUNT_MAX,
  type LostClaimRequest,
  type RatedClaimRequest,
  type SealedDelivery,
  type Statements,
} from './statements.ts';

/** Where writes wait for their commit: one group for all kinds, or one for each, if none shall wait for another. */
export interface DeliveryCommits {
  readonly claims: Commits;
  readonly laneClaims: Commits;
  /** They wait for each other's locks. */
  readonly ratedClaims: Commits;
  readonly records: Commits;
  readonly releases: Commits;
}

interface DeliveryStoreParts {
  readonly database: Kysely<unknown>;
  readonly statements: Statements;
  readonly vault: Vault;
}

/** The rate limit of a destination. */
export interface RateNotice {
  readonly policy: ClaimedPolicy;
  /** Milliseconds until the next attempt is allowed; 0 if nobody has looked, as in claims that are not rated. */
  readonly limitedForMs: number;
}

/** The answer to a claim. */
export interface Claims {
  readonly claimed: readonly ClaimedDelivery[];
  /** Set if the destination has a rate limit, so that only rated claims get deliveries of it. */
  readonly limited: RateNotice | undefined;
  /** Set if deliveries were due, but not next in their order. */
  readonly passedOver: PassedOver | undefined;
}

/** The answer to a record. */
export interface Recorded {
  /** False when the delivery was deleted, or a newer attempt has begun; nothing is recorded then. */
  readonly isRecorded: boolean;
  /** The delivery that was waiting for this one, and is due now. */
  readonly next: NextDelivery | undefined;
}

/** The durable truth about deliveries. The memory of queues and workers may be lost. */
export class DeliveryStore {
  readonly #database: Kysely<unknown>;
  readonly #statements: Statements;
  readonly #secrets: OpenedSecrets;
  readonly #policies = new ClaimedPolicies();
  readonly #claim: (request: ClaimRequest) => Promise<SealedClaims>;
  readonly #claimLane: (request: LaneClaimRequest) => Promise<SealedClaims>;
  readonly #claimLost: (request: LostClaimRequest) => Promise<SealedClaims>;
  readonly #claimRated: (request: RatedClaimRequest) => Promise<SealedClaims>;
  readonly #record: (record: AttemptRecord) => Promise<Recorded>;
  readonly #release: (claim: Claim) => Promise<void>;

  constructor(commits: DeliveryCommits, { database, statements, vault }: DeliveryStoreParts) {
    this.#secrets = new OpenedSecrets(vault);
    this.#database = database;
    this.#statements = statements;
    this.#claim = commits.claims.register(claimKind(statements));
    this.#claimLane = commits.laneClaims.register(laneClaimKind(statements));
    this.#claimLost = commits.laneClaims.register(lostClaimKind(statements));
    this.#claimRated = commits.ratedClaims.register(ratedClaimKind(statements));
    this.#record = commits.records.register(recordKind(statements));
    this.#release = commits.releases.register(releaseKind(statements));
  }

  /** The delivery is the caller's until the lease ends. It is not claimed if it is finished, deleted, or leased already. */
  async claim(request: ClaimRequest): Promise<Claims> {
    return this.#opened(await this.#claim(request));
  }

  /**
   * Claims the oldest due deliveries of a destination. No second call for it while one is under way.
   *
   * @returns fewer than asked for, together with those that were passed over, only when there are no more from there
   * on, or the destination has a rate limit.
   */
  async claimLane(request: LaneClaimRequest): Promise<Claims> {
    return this.#opened(await this.#claimLane(request));
  }

  /** Takes over a delivery whose worker died: the one with the lowest lost count. */
  async claimLost(request: LostClaimRequest): Promise<Claims> {
    return this.#opened(await this.#claimLost(request));
  }

  /** Claims what the rate limit of the destination allows now, over all workers together. */
  async claimRated(request: RatedClaimRequest): Promise<Claims> {
    return this.#opened(await this.#claimRated(request));
  }

  record(attempt: AttemptRecord): Promise<Recorded> {
    return this.#record(attempt);
  }

  /** Gives back claims whose request was never sent: they can be claimed at once, and the attempt does not count. */
  async release(claims: readonly Claim[]): Promise<void> {
    await Promise.all(claims.map((claim) => this.#release(claim)));
  }

  /** Ends all leases. Only for a process that starts as the sole owner of the database: their workers are dead. */
  async recoverLeases(): Promise<void> {
    await this.#statements.recoverLeases().execute(this.#database);
  }

  /** Destinations with pending deliveries, and whether something is due there now. */
  async findLanes(search: LaneSearch): Promise<readonly FoundLane[]> {
    return (await this.#statements.findLanes(search).execute(this.#database)).rows;
  }

  /** Retries that are due. */
  async findRetries(search: RetrySearch): Promise<readonly FoundRetry[]> {
    return (await this.#statements.findRetries(search).execute(this.#database)).rows;
  }

  /** The destinations among these that are disabled. */
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
   * @param target as long as the payload
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

  #opened({ claimed, limited, passedOver }: SealedClaims): Claims {
    return {
      claimed: claimed.map((sealed) => this.#open(sealed)),
      limited: limited && { policy: this.#policies.of(limited.policy), limitedForMs: limited.limitedForMs },
      passedOver,
    };
  }

  /** A secret that cannot be opened fails this delivery, and no other. */
  #open(sealed: SealedDelivery): ClaimedDelivery {
    const { sealedHeaders, sealedSigningSecret, sealedPreviousSecret, previousSecretUntil, ...columns } = sealed;
    const delivery = { ...columns, policy: this.#policies.of(columns.policy) };
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

/** Large payloads would add up until the garbage is collected. */
function freeAtOnce({ buffer, length }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === length) {
    buffer.transfer(0);
  }
}

const OPENED_MAX = 2_000;

/** Opens sealed texts, and remembers the latest: all deliveries to a destination need the same. */
class OpenedSecrets {
  readonly #vault: Vault;
  readonly #opened = new LRUCache<string, string>({ max: OPENED_MAX });

  constructor(vault: Vault) {
    this.#vault = vault;
  }

  /** @throws VaultError */
  open(sealed: string, ownerId: string): string {
    // The owner is part of the key: the text must not open for another owner.
    const key = `${ownerId} ${sealed}`;
    const known = this.#opened.get(key);
    if (known !== undefined) {
      return known;
    }
    const opened = this.#vault.open(sealed, ownerId);
    this.#opened.set(key, opened);
    return opened;
  }
}

function recordKind({ record }: Statements): BatchKind<AttemptRecord, Recorded, Claim | NextDelivery> {
  return {
    bytesOf: ({ outcome }) => outcome.responseBody?.length ?? 0,
    statements: record,
    results(list, rows) {
      const nextByPlace = new Map(rows.flatMap((row) => ('key' in row ? [[placeKeyOf(row), row] as const] : [])));
      const recorded = new Set(rows.flatMap((row) => ('key' in row ? [] : [keyOf(row)])));
      return list.map((one) => ({
        isRecorded: recorded.has(keyOf(one)),
        next: one.place === null ? undefined : nextByPlace.get(placeKeyOf(one.place)),
      }));
    },
  };
}

function placeKeyOf({ destinationId, key }: Pick<DeliveryPlace, 'destinationId' | 'key'>): string {
  return `${destinationId} ${key}`;
}

function keyOf({ deliveryId, attempt }: Claim): string {
  return `${deliveryId} ${attempt}`;
}

function releaseKind({ release }: Statements): BatchKind<Claim, void, never> {
  return { statements: (list) => [release(list)], results: (list) => list.map(() => undefined) };
}
