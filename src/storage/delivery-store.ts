import { type Kysely, sql } from 'kysely';
import { LRUCache } from 'lru-cache';
import type { HeaderEntry } from '../core/inputs.ts';
import type { SigningSecret } from '../core/signature.ts';
import { type Vault, VaultError } from '../core/vault.ts';
import type { BatchKind, Commits } from './group-commit.ts';
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

/** Where writes wait for their commit: one group for all kinds, or one for each, if none shall wait for another. */
export interface DeliveryCommits {
  readonly claims: Commits;
  readonly laneClaims: Commits;
  readonly records: Commits;
  readonly releases: Commits;
}

interface DeliveryStoreParts {
  readonly database: Kysely<unknown>;
  readonly statements: Statements;
  readonly vault: Vault;
}

/** The durable truth about deliveries. The memory of queues and workers may be lost. */
export class DeliveryStore {
  readonly #database: Kysely<unknown>;
  readonly #statements: Statements;
  readonly #secrets: OpenedSecrets;
  readonly #claim: (request: ClaimRequest) => Promise<SealedDelivery | undefined>;
  readonly #claimLane: (request: LaneClaimRequest) => Promise<readonly SealedDelivery[]>;
  readonly #claimLost: (request: LostClaimRequest) => Promise<SealedDelivery | undefined>;
  readonly #record: (record: AttemptRecord) => Promise<boolean>;
  readonly #release: (claim: Claim) => Promise<void>;

  constructor(commits: DeliveryCommits, { database, statements, vault }: DeliveryStoreParts) {
    this.#secrets = new OpenedSecrets(vault);
    this.#database = database;
    this.#statements = statements;
    this.#claim = commits.claims.register(claimKind(statements));
    this.#claimLane = commits.laneClaims.register(laneClaimKind(statements));
    this.#claimLost = commits.laneClaims.register(lostClaimKind(statements));
    this.#record = commits.records.register(recordKind(statements));
    this.#release = commits.releases.register(releaseKind(statements));
  }

  /**
   * The delivery is the caller's until the lease ends.
   *
   * @returns `undefined` when the delivery is finished, deleted, or leased to another worker.
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
   * Takes over a delivery whose worker died: the one with the lowest lost count.
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

  /** A secret that cannot be opened fails this delivery, and no other. */
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

function claimKind({ claim }: Statements): BatchKind<ClaimRequest, SealedDelivery | undefined, SealedDelivery> {
  return {
    statements: (requests) => [claim(requests)],
    results(requests, rows) {
      const byId = new Map(rows.map((row) => [row.deliveryId, row]));
      return requests.map(({ ticket: { deliveryId } }) => {
        const claimed = byId.get(deliveryId);
        // Of several requests with the same ticket one gets the delivery.
        byId.delete(deliveryId);
        return claimed;
      });
    },
  };
}

function laneClaimKind({
  claimLanes,
}: Statements): BatchKind<LaneClaimRequest, readonly SealedDelivery[], SealedDelivery> {
  return {
    statements: claimLanes,
    results(requests, rows) {
      const byDestination = Map.groupBy(rows, ({ destinationId }) => destinationId);
      return requests.map(({ destinationId, limit }) => {
        const claimed = (byDestination.get(destinationId) ?? []).toSorted((a, b) => a.dueAt - b.dueAt);
        byDestination.set(destinationId, claimed.slice(limit));
        return claimed.slice(0, limit);
      });
    },
  };
}

function lostClaimKind({
  claimLost,
}: Statements): BatchKind<LostClaimRequest, SealedDelivery | undefined, SealedDelivery> {
  return {
    statements: claimLost,
    results(requests, rows) {
      const byDestination = Map.groupBy(rows, ({ destinationId }) => destinationId);
      return requests.map(({ destinationId }) => byDestination.get(destinationId)?.shift());
    },
  };
}

function recordKind({ record }: Statements): BatchKind<AttemptRecord, boolean, Claim> {
  return {
    bytesOf: ({ outcome }) => outcome.responseBody?.length ?? 0,
    statements: record,
    results(list, rows) {
      const recorded = new Set(rows.map(keyOf));
      return list.map((one) => recorded.has(keyOf(one)));
    },
  };
}

function keyOf({ deliveryId, attempt }: Claim): string {
  return `${deliveryId} ${attempt}`;
}

function releaseKind({ release }: Statements): BatchKind<Claim, void, never> {
  return { statements: (list) => [release(list)], results: (list) => list.map(() => undefined) };
}
