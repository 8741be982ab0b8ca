const ROWS = 30;
const PROJECT = new URL('..', import.meta.url).href;

/** On the monotonic clock, which V8 stamps its samples with too, in microseconds. */
export interface TimeWindow {
  readonly fromUs: number;
  readonly toUs: number;
}

interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
}

/** The part of V8's format that is read here. */
export interface CpuProfile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: CallFrame }[];
  readonly startTime: number;
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** The functions that took the most time themselves, callees not counted, within the windows. */
export function topSelfTimes(profile: CpuProfile, windows: readonly TimeWindow[]): string {
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, label(callFrame)]));
  const selfUs = new Map<string, number>();
  let totalUs = 0;
  let now = profile.startTime;
  for (const [index, node] of profile.samples.entries()) {
    const delta = profile.timeDeltas[index] ?? 0;
    now += delta;
    if (windows.some(({ fromUs, toUs }) => now >= fromUs && now <= toUs)) {
      const name = frames.get(node) ?? '?';
      selfUs.set(name, (selfUs.get(name) ?? 0) + delta);
      totalUs += delta;
    }
  }
  return [...selfUs]
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, ROWS)
    .map(([name, us]) => `${((100 * us) / totalUs).toFixed(1).padStart(6)} %  ${name}`)
    .join('\n');
}

function label({ functionName, url, lineNumber }: CallFrame): string {
  const place = url.split('/node_modules/').at(-1)?.replace(PROJECT, '') ?? '';
  const name = functionName === '' ? '(anonymous)' : functionName;
  return place === '' ? name : `${name}  ${place}:${lineNumber + 1}`;
}
