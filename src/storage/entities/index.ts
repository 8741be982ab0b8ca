export { Account, type AccountEntity } from './account.ts';
export { Attempt, type AttemptEntity } from './attempt.ts';
export { Delivery, type DeliveryEntity } from './delivery.ts';
export { Destination, type DestinationEntity } from './destination.ts';
export { Event, type EventEntity } from './event.ts';
export { QueuedDelivery, type QueuedDeliveryEntity } from './queued-delivery.ts';
export { Setting, type SettingEntity } from './setting.ts';
