import type { BatchKind } from './group-commit.ts';
import type { PassedOver } from './delivery-order.ts';
import type {
  ClaimRequest,
  ClaimRow,
  LaneClaimRequest,
  LimitedDestination,
  LostClaimRequest,
  RatedClaimRequest,
  SealedDelivery,
  Statements,
} from './statements.ts';

/** The answer to one claim. */
export interface SealedClaims {
  readonly claimed: readonly SealedDelivery[];
  /** Set if the destination has a rate limit. */
  readonly limited: LimitedDestination | undefined;
  /** Set if deliveries of the destination were due, but not next in their order. */
  readonly passedOver: PassedOver | undefined;
}

type ClaimKind<Request> = BatchKind<Request, SealedClaims, ClaimRow>;

export function claimKind({ claim }: Statements): ClaimKind<ClaimRequest> {
  return {
    statements: claim,
    results(requests, rows) {
      const { claimed, limited, passedOver } = sorted(rows);
      const byId = new Map(claimed.map((row) => [row.deliveryId, row]));
      return requests.map(({ ticket: { deliveryId, destinationId } }) => {
        const row = byId.get(deliveryId);
        // Of several requests with the same ticket one gets the delivery.
        byId.delete(deliveryId);
        return {
          claimed: row === undefined ? [] : [row],
          limited: limited.get(destinationId),
          passedOver: passedOver.get(destinationId),
        };
      });
    },
  };
}

export function laneClaimKind({ claimLanes }: Statements): ClaimKind<LaneClaimRequest> {
  return { statements: claimLanes, results: byDestination };
}

export function lostClaimKind({ claimLost }: Statements): ClaimKind<LostClaimRequest> {
  return {
    statements: claimLost,
    results: (requests, rows) =>
      byDestination(
        requests.map(({ destinationId }) => ({ destinationId, limit: 1 })),
        rows,
      ),
  };
}

export function ratedClaimKind({ claimRated }: Statements): ClaimKind<RatedClaimRequest> {
  return { statements: claimRated, results: byDestination };
}

/** @param requests each gets as many of the deliveries of its destination as it asked for, the oldest first */
function byDestination(
  requests: readonly Pick<LaneClaimRequest, 'destinationId' | 'limit'>[],
  rows: readonly ClaimRow[],
): SealedClaims[] {
  const { claimed, limited, passedOver } = sorted(rows);
  const claims = Map.groupBy(claimed, ({ destinationId }) => destinationId);
  return requests.map(({ destinationId, limit }) => {
    const own = (claims.get(destinationId) ?? []).toSorted((a, b) => a.dueAt - b.dueAt);
    claims.set(destinationId, own.slice(limit));
    return {
      claimed: own.slice(0, limit),
      limited: limited.get(destinationId),
      passedOver: passedOver.get(destinationId),
    };
  });
}

function sorted(rows: readonly ClaimRow[]) {
  const claimed: SealedDelivery[] = [];
  const limited = new Map<string, LimitedDestination>();
  const passedOver = new Map<string, PassedOver>();
  for (const row of rows) {
    if ('limitedForMs' in row) {
      limited.set(row.destinationId, row);
    } else if ('parked' in row) {
      passedOver.set(row.destinationId, row);
    } else {
      claimed.push(row);
    }
  }
  return { claimed, limited, passedOver };
}
