import type { Clock } from '../core/clock.ts';
import { DomainError } from '../core/errors.ts';
import { requireId } from '../core/ids.ts';
import type { Scope } from '../core/scope.ts';
import type { Ticket } from '../core/delivery.ts';
import { LockMode } from '../storage/errors.ts';
import { Delivery, type DeliveryEntity, Destination, QueuedDelivery } from '../storage/entities.ts';
import type { EntityManager } from '../storage/storage.ts';

interface Dependencies {
  readonly scope: Scope;
  readonly fork: (scope: Scope) => EntityManager;
  readonly clock: Clock;
  readonly publish: (tickets: readonly Ticket[]) => Promise<void>;
}

export class DeliveryCommands {
  readonly #dependencies: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Makes a finished delivery pending and due at once, with a new retry cycle. Its attempts stay recorded, and their
   * numbers continue.
   *
   * @throws DomainError NOT_FOUND; CONFLICT while the delivery is pending
   */
  async retry(id: string): Promise<DeliveryEntity> {
    requireId(id, 'delivery');
    const { fork, scope, clock, publish } = this.#dependencies;
    const delivery = await fork(scope).transactional(async (em) => {
      const found = await em.findOne(Delivery, { id });
      // The lock keeps a destination that is being deleted from getting new work.
      const lock = { lockMode: LockMode.PESSIMISTIC_READ } as const;
      const destination = found && (await em.findOne(Destination, { id: found.destination.id }, lock));
      if (found === null || destination === null) {
        throw DomainError.notFound('delivery');
      }
      // The filter has already been applied above. With its joins, the statement would not wait for a concurrent retry.
      const retried = await em.nativeUpdate(
        Delivery,
        { id, status: { $ne: 'PENDING' } },
        { status: 'PENDING', completedAt: null },
        { filters: false },
      );
      if (retried === 0) {
        throw DomainError.conflict('The delivery is already pending; it is sent when it is due.');
      }
      await em.insert(QueuedDelivery, {
        deliveryId: id,
        eventId: found.event.id,
        destinationId: destination.id,
        attemptCount: found.attemptCount,
        cycleStart: found.attemptCount,
        lostCount: 0,
        dueAt: new Date(clock.now()),
        leasedUntil: null,
        waits: true,
      });
      return em.refresh(found);
    });
    if (delivery === null) {
      throw DomainError.notFound('delivery');
    }
    const { id: destinationId, account } = delivery.destination.unwrap();
    await publish([{ deliveryId: id, destinationId, accountId: account.id, attempt: delivery.attemptCount }]);
    return delivery;
  }
}
