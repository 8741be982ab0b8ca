import { median } from './statistics.ts';
import { rate } from './table.ts';

const LEVELS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/** A character for each value, from nothing to the greatest of them. */
export function sparkline(values: readonly number[]): string {
  const greatest = Math.max(...values, 1);
  return values.map((value) => LEVELS[Math.round((value / greatest) * (LEVELS.length - 1))]).join('');
}

/** How much less the worst second has than the median one; the first second, in which all begins, is left out. */
export function steadiness(perSecond: readonly number[]): number {
  const later = perSecond.slice(1);
  return Math.min(...later) / median(later);
}

export function sparkRow(what: string, perSecond: readonly number[]): string {
  const later = perSecond.slice(1);
  const [least, middle] = [rate(Math.min(...later)), rate(median(later))];
  return `  ${what.padEnd(12)}${sparkline(perSecond)}  minimum ${least}, median ${middle}, share ${steadiness(perSecond).toFixed(2)}`;
}
