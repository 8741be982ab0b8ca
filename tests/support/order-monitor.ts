import type { ClaimedDelivery } from '../../src/storage/statements.ts';

/** Counts in their order what a sender has sent under one key. */
export interface NumberedPayload {
  readonly key: number;
  readonly n: number;
}

/** Sees each delivery begin and end, and notes what begins too early or too late in its order. */
export class OrderMonitor {
  readonly inversions: string[] = [];
  /** Deliveries that have ended. */
  ended = 0;
  readonly #lanes = new Map<string, { readonly endings: Map<number, number>; latest: number }>();

  begun(claimed: ClaimedDelivery): void {
    const { n } = payloadOf(claimed);
    const lane = this.#laneOf(claimed);
    const isEarly = Array.from({ length: n }, (_, before) => before).some((before) => !lane.endings.get(before));
    if (isEarly || n < lane.latest) {
      this.inversions.push(`${claimed.destinationId} ${claimed.payload?.toString()} after ${lane.latest}`);
    }
    lane.latest = Math.max(lane.latest, n);
  }

  /** @param record of its end. The next one may begin before it answers. Its answer is whether it was recorded. */
  async ending(claimed: ClaimedDelivery, record: () => Promise<boolean>): Promise<void> {
    const { endings } = this.#laneOf(claimed);
    const { n } = payloadOf(claimed);
    endings.set(n, (endings.get(n) ?? 0) + 1);
    if (await record()) {
      this.ended += 1;
    } else {
      endings.set(n, (endings.get(n) ?? 0) - 1);
    }
  }

  #laneOf(claimed: ClaimedDelivery) {
    const name = `${claimed.destinationId} ${payloadOf(claimed).key}`;
    const lane = this.#lanes.get(name) ?? { endings: new Map<number, number>(), latest: 0 };
    this.#lanes.set(name, lane);
    return lane;
  }
}

function payloadOf({ payload }: ClaimedDelivery): NumberedPayload {
  return JSON.parse(payload?.toString() ?? '') as NumberedPayload;
}
