import { DomainError } from './errors.ts';

const DAY_MS = 86_400_000;
export const OVERLAP_DEFAULT_MS = DAY_MS;
const OVERLAP_MS_MAX = 30 * DAY_MS;

/** @throws DomainError BAD_USER_INPUT */
export function requireOverlap(milliseconds: number): void {
  if (milliseconds > OVERLAP_MS_MAX) {
    throw DomainError.badInput('overlap', 'The overlap must be an ISO 8601 duration from PT0S to P30D.');
  }
}
