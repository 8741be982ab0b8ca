import type { ManyFigures } from './measure-many.ts';
import { atLeast, type Findings } from './report.ts';
import { percentile } from './statistics.ts';
import { milliseconds, rate, type Row } from './table.ts';

const SHARE_AIM = 0.7;
const OTHERS_AIM_MS = 100;

/** The rate of one destination stands in the column of the bare limit. */
export function manyFindings({ destinations, many, one, others, duplicates }: ManyFigures): Findings {
  const share = many / one;
  return {
    rows: [
      {
        what: `deliveries per second to ${destinations} destinations`,
        figure: rate(many),
        bare: rate(one),
        share: share.toFixed(2),
        ...atLeast(share, SHARE_AIM),
      },
      othersRow('  another account, accepted to arrived, p50', others.acceptedToArrived, 0.5),
      othersRow('  another account, accepted to arrived, p95', others.acceptedToArrived, 0.95),
      othersRow('  another account, sent to arrived, p50', others.sentToArrived, 0.5),
      othersRow('  another account, sent to arrived, p95', others.sentToArrived, 0.95),
      { what: '  requests made twice', figure: duplicates.toString() },
    ],
    lines: [],
  };
}

function othersRow(what: string, values: readonly number[], share: number): Row {
  const value = percentile(values, share);
  return {
    what,
    figure: milliseconds(value),
    aim: `<= ${OTHERS_AIM_MS} ms`,
    verdict: value <= OTHERS_AIM_MS ? 'reached' : 'missed',
  };
}
