import type { TicketLane } from './delivery.ts';

/** Without lanes: look everywhere. Lanes are a hint, and may not exist. */
export type Wake = (lanes?: readonly TicketLane[]) => void;

/** Tells the other processes of a shared database where something is due. May lose a notification; never rejects. */
export interface Notifier {
  /** True while notifications arrive. */
  readonly isListening: boolean;
  /** Without lanes, or with more than one notification can name, the listeners look everywhere. */
  notify(lanes?: readonly TicketLane[]): Promise<void>;
  listen(wake: Wake): Promise<void>;
  stop(): Promise<void>;
}
