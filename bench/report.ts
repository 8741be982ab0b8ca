import type { Profile } from './backing.ts';
import type { AcceptFigures } from './measure-accept.ts';
import { BATCH_EVENTS, type BatchFigures } from './measure-batch.ts';
import type { DeliverFigures } from './measure-deliver.ts';
import type { LatencyFigures } from './measure-latency.ts';
import type { RoutedFigures } from './measure-routed.ts';
import type { StatementFigures } from './measure-statements.ts';
import { PAYLOAD } from './payload.ts';
import { median, percentile } from './statistics.ts';
import { bytes, mib, milliseconds, rate, type Row, table } from './table.ts';

/** What a scenario has come to: rows of the table, and lines to be printed below it. */
export interface Findings {
  readonly rows: readonly Row[];
  readonly lines: readonly string[];
}

const SHARE_AIM = 0.7;
/** What rules may cost, and what is lost to them where there are none. */
const ROUTED_AIM = 0.75;
const PLAIN_AIM = 0.97;
/** How many times more events batches bring. */
const BATCH_AIM = 5;
const CORES_AIM = 1.5;
const IDLE_P50_AIM_MS = 50;
/** For the one process on SQLite, where nothing travels between processes. */
const P50_AIM_MS = 5;
const P99_AIM_MS = 25;

/** Every figure beside its bare limit; then what they come to, beside the aims. */
export function report(findings: readonly Findings[]): string {
  const lines = findings.flatMap((one) => one.lines);
  return `${table(findings.flatMap(({ rows }) => rows))}\n\nRounds\n${lines.join('\n')}\n`;
}

export function acceptFindings(accept: AcceptFigures): Findings {
  return {
    rows: [
      rateRow('events accepted per second', accept.accepted, accept.bare),
      { what: 'memory, idle', figure: mib(accept.idleMiB), bare: mib(accept.bareIdleMiB) },
      { what: 'memory, accepting', figure: mib(accept.peakMiB), bare: mib(accept.barePeakMiB) },
    ],
    lines: [roundsLine('accepted', accept.accepted), roundsLine('  bare Express', accept.bare)],
  };
}

export function deliverFindings(profile: Profile, deliver: DeliverFigures): Findings {
  return {
    rows: [
      rateRow(`deliveries per second (senders: ${deliver.senders})`, deliver.delivered, deliver.bare),
      singleRow(profile, deliver),
      { what: 'memory, backlog and delivering', figure: mib(deliver.peakMiB), bare: mib(deliver.barePeakMiB) },
      {
        what: profile === 'sqlite' ? '  without threads' : '  with a single worker process',
        figure: mib(deliver.singlePeakMiB),
      },
      { what: 'disk for one delivered event', figure: bytes(deliver.bytesPerEvent), bare: bytes(PAYLOAD.length) },
      { what: 'requests made twice', figure: deliver.duplicates.toString() },
    ],
    lines: [
      roundsLine('delivered', deliver.delivered),
      roundsLine('  single sender', deliver.single),
      roundsLine('  bare got', deliver.bare),
    ],
  };
}

export function routedFindings({ plain, routed, other }: RoutedFigures): Findings {
  return {
    rows: [
      rateRow('events for 1 of 10 destinations, by rules', routed, plain, ROUTED_AIM),
      ...(other.length === 0 ? [] : [rateRow('events without rules, beside the other build', plain, other, PLAIN_AIM)]),
    ],
    lines: [
      roundsLine('by rules', routed),
      roundsLine('  without rules', plain),
      ...(other.length === 0 ? [] : [roundsLine('  other build', other)]),
    ],
  };
}

export function batchFindings({ batched, single }: BatchFigures): Findings {
  return {
    rows: [rateRow(`events in batches of ${BATCH_EVENTS}, beside single ones`, batched, single, BATCH_AIM)],
    lines: [roundsLine('in batches', batched), roundsLine('  single', single)],
  };
}

export function latencyFindings(profile: Profile, latency: LatencyFigures): Findings {
  return { rows: latencyRows(profile, latency), lines: [] };
}

export function statementFindings(statements: StatementFigures | undefined): Findings {
  return { rows: statements === undefined ? [] : statementRows(statements), lines: [] };
}

function rateRow(what: string, figures: readonly number[], bare: readonly number[], aim = SHARE_AIM): Row {
  const share = shareOf(figures, bare);
  return {
    what,
    figure: rate(median(figures)),
    bare: rate(median(bare)),
    share: share.toFixed(2),
    ...atLeast(share, aim),
  };
}

function singleRow(profile: Profile, { delivered, single }: DeliverFigures): Row {
  const ratio = shareOf(delivered, single);
  return {
    what: profile === 'sqlite' ? '  without threads' : '  with a single worker process',
    figure: rate(median(single)),
    share: `1 : ${ratio.toFixed(2)}`,
    ...atLeast(ratio, CORES_AIM),
  };
}

export function shareOf(figures: readonly number[], others: readonly number[]): number {
  return median(figures.map((figure, round) => figure / (others[round] ?? Number.NaN)));
}

export function atLeast(value: number, aim: number): Pick<Row, 'aim' | 'verdict'> {
  return { aim: `>= ${aim.toFixed(2)}`, verdict: value >= aim ? 'reached' : 'missed' };
}

function latencyRows(profile: Profile, { acceptedToArrived, sentToArrived, bare, idle }: LatencyFigures): Row[] {
  const aims = profile === 'sqlite' ? { p50: P50_AIM_MS, p99: P99_AIM_MS } : {};
  return [
    latencyRow('accepted to arrived, p50', acceptedToArrived, 0.5, { bare, aimMs: aims.p50 }),
    latencyRow('accepted to arrived, p99', acceptedToArrived, 0.99, { bare, aimMs: aims.p99 }),
    latencyRow('sent to arrived, p50', sentToArrived, 0.5, { bare }),
    latencyRow('sent to arrived, p99', sentToArrived, 0.99, { bare }),
    latencyRow('accepted to arrived when idle, p50', idle, 0.5, { aimMs: IDLE_P50_AIM_MS }),
  ];
}

function latencyRow(
  what: string,
  figures: readonly number[],
  share: number,
  { bare, aimMs }: { readonly bare?: readonly number[]; readonly aimMs?: number | undefined },
): Row {
  const value = percentile(figures, share);
  return {
    what,
    figure: milliseconds(value),
    ...(bare && { bare: milliseconds(percentile(bare, share)) }),
    ...(aimMs !== undefined && { aim: `<= ${aimMs} ms`, verdict: value <= aimMs ? 'reached' : 'missed' }),
  };
}

function statementRows({ accepting, delivering }: StatementFigures): Row[] {
  return [
    { what: 'statements for one event, accepting', figure: accepting.toFixed(3) },
    { what: 'statements for one event, delivering', figure: delivering.toFixed(3) },
  ];
}

export function roundsLine(what: string, figures: readonly number[]): string {
  return `  ${what.padEnd(22)}${figures.map((figure) => rate(figure).padStart(9)).join('')}`;
}
