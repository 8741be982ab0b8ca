/** One figure beside its bare limit, and what it comes to beside its aim. */
export interface Row {
  readonly what: string;
  readonly figure: string;
  readonly bare?: string;
  readonly share?: string;
  readonly aim?: string;
  readonly verdict?: string;
}

const HEAD = ['', 'measured', 'bare limit', 'share', 'aim', ''];

export function table(rows: readonly Row[]): string {
  const cells = [
    HEAD,
    ...rows.map(({ what, figure, bare = '', share = '', aim = '', verdict = '' }) => [
      what,
      figure,
      bare,
      share,
      aim,
      verdict,
    ]),
  ];
  const widths = HEAD.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)));
  const lines = cells.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('   ')
      .trimEnd(),
  );
  lines.splice(1, 0, widths.map((width) => '-'.repeat(width)).join('   '));
  return lines.join('\n');
}

export function rate(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

export function milliseconds(value: number): string {
  return `${value.toFixed(1)} ms`;
}

export function mib(value: number): string {
  return `${Math.round(value)} MiB`;
}

export function bytes(value: number): string {
  return `${Math.round(value)} B`;
}

export function seconds(value: number): string {
  return `${value.toFixed(2)} s`;
}
