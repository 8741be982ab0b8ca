import type { MixedFigures, MixedRound } from './measure-mixed.ts';
import { atLeast, type Findings } from './report.ts';
import { sparkRow, steadiness } from './sparkline.ts';
import { median } from './statistics.ts';
import { mib, rate, type Row, seconds } from './table.ts';

const STEADINESS_AIM = 0.5;

/** Where another build is measured too, it stands in the column of the bare limit, and the share is new to old. */
export function mixedFindings({ own, other }: MixedFigures): Findings {
  const rows = [
    row('mixed: accepted per second', own, other, (round) => median(round.accepted.slice(1)), rate),
    steadyRow('  worst second to median', own, other, ({ accepted }) => accepted),
    row('mixed: delivered per second', own, other, (round) => median(round.delivered.slice(1)), rate),
    steadyRow('  worst second to median', own, other, ({ delivered }) => delivered),
    row('mixed: drained after the load', own, other, ({ drainSeconds }) => drainSeconds, seconds),
    row('mixed: processor for 1,000 events', own, other, ({ processor }) => processor.server, seconds),
    row('  of PostgreSQL', own, other, ({ processor }) => processor.database, seconds),
    row('  of RabbitMQ', own, other, ({ processor }) => processor.broker, seconds),
    row('mixed: memory', own, other, ({ peakMiB }) => peakMiB, mib),
    row('mixed: requests made twice', own, other, ({ duplicates }) => duplicates, String),
  ];
  return {
    rows: rows.filter(({ figure }) => figure !== ''),
    lines: [...lines('mixed', own), ...lines('mixed, the other build', other)],
  };
}

function row(
  what: string,
  own: readonly MixedRound[],
  other: readonly MixedRound[],
  valueOf: (round: MixedRound) => number | undefined,
  inWords: (value: number) => string,
): Row {
  const values = own.map((round) => valueOf(round));
  const others = other.map((round) => valueOf(round));
  if (values.includes(undefined)) {
    return { what, figure: '' };
  }
  const figure = median(values as number[]);
  if (others.length === 0 || others.includes(undefined)) {
    return { what, figure: inWords(figure) };
  }
  const bare = median(others as number[]);
  return { what, figure: inWords(figure), bare: inWords(bare), ...(bare > 0 && { share: (figure / bare).toFixed(2) }) };
}

function steadyRow(
  what: string,
  own: readonly MixedRound[],
  other: readonly MixedRound[],
  seriesOf: (round: MixedRound) => readonly number[],
): Row {
  const worst = Math.min(...own.map((round) => steadiness(seriesOf(round))));
  const result = row(
    what,
    own,
    other,
    (round) => steadiness(seriesOf(round)),
    (value) => value.toFixed(2),
  );
  return { ...result, figure: worst.toFixed(2), ...atLeast(worst, STEADINESS_AIM) };
}

function lines(title: string, rounds: readonly MixedRound[]): string[] {
  return rounds.flatMap(({ accepted, delivered }) => [
    `  ${title}, second by second`,
    sparkRow('  accepted', accepted),
    sparkRow('  delivered', delivered),
  ]);
}
