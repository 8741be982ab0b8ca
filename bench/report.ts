import type { AcceptFigures } from './measure-accept.ts';
import type { DeliverFigures } from './measure-deliver.ts';
import type { LatencyFigures } from './measure-latency.ts';
import { PAYLOAD } from './payload.ts';
import { median, percentile } from './statistics.ts';

export interface Figures {
  readonly accept: AcceptFigures;
  readonly deliver: DeliverFigures;
  readonly latency: LatencyFigures;
}

interface Row {
  readonly what: string;
  readonly figure: string;
  readonly bare: string;
  readonly share?: string;
  readonly aim?: string;
  readonly verdict?: string;
}

const SHARE_AIM = 0.7;
const P50_AIM_MS = 5;
const P99_AIM_MS = 25;

/** Every figure beside its bare limit; then what they come to, beside the aims. */
export function report({ accept, deliver, latency }: Figures): string {
  const rows: Row[] = [
    rateRow('events accepted per second', accept.accepted, accept.bare),
    rateRow('deliveries per second', deliver.delivered, deliver.bare),
    latencyRow('accepted to arrived, p50', latency.acceptedToArrived, latency.bare, 0.5, P50_AIM_MS),
    latencyRow('accepted to arrived, p99', latency.acceptedToArrived, latency.bare, 0.99, P99_AIM_MS),
    latencyRow('sent to arrived, p50', latency.sentToArrived, latency.bare, 0.5),
    latencyRow('sent to arrived, p99', latency.sentToArrived, latency.bare, 0.99),
    { what: 'memory, idle', figure: mib(accept.idleMiB), bare: mib(accept.bareIdleMiB) },
    { what: 'memory, accepting', figure: mib(accept.peakMiB), bare: mib(accept.barePeakMiB) },
    { what: 'memory, backlog and delivering', figure: mib(deliver.peakMiB), bare: mib(deliver.barePeakMiB) },
    { what: 'disk for one delivered event', figure: bytes(deliver.bytesPerEvent), bare: bytes(PAYLOAD.length) },
  ];
  return `${table(rows)}\n\nRounds\n${rounds(accept, deliver)}\n`;
}

function rateRow(what: string, figures: readonly number[], bare: readonly number[]): Row {
  const share = median(figures.map((figure, round) => figure / (bare[round] ?? Number.NaN)));
  return {
    what,
    figure: rate(median(figures)),
    bare: rate(median(bare)),
    share: share.toFixed(2),
    aim: `>= ${SHARE_AIM.toFixed(2)}`,
    verdict: share >= SHARE_AIM ? 'reached' : 'missed',
  };
}

function latencyRow(
  what: string,
  figures: readonly number[],
  bare: readonly number[],
  share: number,
  aimMs?: number,
): Row {
  const value = percentile(figures, share);
  return {
    what,
    figure: milliseconds(value),
    bare: milliseconds(percentile(bare, share)),
    ...(aimMs !== undefined && { aim: `<= ${aimMs} ms`, verdict: value <= aimMs ? 'reached' : 'missed' }),
  };
}

function rounds(accept: AcceptFigures, deliver: DeliverFigures): string {
  return [
    roundsLine('accepted', accept.accepted),
    roundsLine('  bare Express', accept.bare),
    roundsLine('delivered', deliver.delivered),
    roundsLine('  bare got', deliver.bare),
  ].join('\n');
}

function roundsLine(what: string, figures: readonly number[]): string {
  return `  ${what.padEnd(22)}${figures.map((figure) => rate(figure).padStart(9)).join('')}`;
}

function table(rows: readonly Row[]): string {
  const cells = [
    ['', 'measured', 'bare limit', 'share', 'aim', ''],
    ...rows.map(({ what, figure, bare, share, aim, verdict }) => [
      what,
      figure,
      bare,
      share ?? '',
      aim ?? '',
      verdict ?? '',
    ]),
  ];
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)));
  const lines = cells.map((row) =>
    row
      .map((cell, column) =>
        column === 0 || column === 5 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('   ')
      .trimEnd(),
  );
  lines.splice(1, 0, widths.map((width) => '-'.repeat(width)).join('   '));
  return lines.join('\n');
}

function rate(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function milliseconds(value: number): string {
  return `${value.toFixed(1)} ms`;
}

function mib(value: number): string {
  return `${Math.round(value)} MiB`;
}

function bytes(value: number): string {
  return `${Math.round(value)} B`;
}
