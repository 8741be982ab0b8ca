import { DomainError } from './errors.ts';

export const OVERLAP_DEFAULT = 'PT24H';
export const OVERLAP_RULE =
  'The overlap must be an ISO 8601 duration of weeks, days, hours, minutes and seconds, from PT0S to P30D.';
const OVERLAP_MS_MAX = 30 * 86_400_000;

/** In milliseconds. Years and months have no fixed length, and are longer than an overlap may be. */
const UNITS: Readonly<Record<string, number>> = {
  W: 7 * 86_400_000,
  D: 86_400_000,
  TH: 3_600_000,
  TM: 60_000,
  TS: 1_000,
};

/**
 * @param text an ISO 8601 duration; that it is one was seen by the API's scalar.
 * @returns milliseconds
 * @throws DomainError BAD_USER_INPUT
 */
export function parseOverlap(text: string): number {
  const [days = '', times = ''] = text.split('T');
  const amounts = [...amountsOf(days, ''), ...amountsOf(times, 'T')];
  const total = amounts.reduce((sum, { amount, unit }) => sum + amount * (UNITS[unit] ?? Number.NaN), 0);
  const overlap = Math.round(text.startsWith('-') ? -total : total);
  if (amounts.length === 0 || !(overlap >= 0 && overlap <= OVERLAP_MS_MAX)) {
    throw DomainError.badInput('overlap', OVERLAP_RULE);
  }
  return overlap;
}

function amountsOf(part: string, prefix: string): { amount: number; unit: string }[] {
  return [...part.matchAll(/(?<amount>[+-]?[\d.,]+)(?<letter>[A-Z])/gu)].map(({ groups }) => ({
    amount: Number(groups?.['amount']?.replace(',', '.')),
    unit: prefix + groups?.['letter'],
  }));
}
