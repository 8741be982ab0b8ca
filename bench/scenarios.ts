import type { Context } from './context.ts';
import { measureAccept } from './measure-accept.ts';
import { measureBatch } from './measure-batch.ts';
import { measureDeliver } from './measure-deliver.ts';
import { measureLatency } from './measure-latency.ts';
import { measureMany } from './measure-many.ts';
import { measureMixed } from './measure-mixed.ts';
import { measureRouted } from './measure-routed.ts';
import { measureStatements } from './measure-statements.ts';
import type { Scenario } from './options.ts';
import {
  acceptFindings,
  batchFindings,
  deliverFindings,
  type Findings,
  latencyFindings,
  routedFindings,
  statementFindings,
} from './report.ts';
import { manyFindings } from './report-many.ts';
import { mixedFindings } from './report-mixed.ts';

interface Play {
  /** What is going on, for whoever waits. */
  readonly title: string;
  readonly run: (context: Context) => Promise<Findings>;
}

export const PLAYS: Readonly<Record<Scenario, Play>> = {
  accept: {
    title: 'Accepting events',
    run: async (context) => acceptFindings(await measureAccept(context)),
  },
  deliver: {
    title: 'Delivering a backlog',
    run: async (context) => deliverFindings(context.profile, await measureDeliver(context)),
  },
  latency: {
    title: 'Timing single events',
    run: async (context) => latencyFindings(context.profile, await measureLatency(context)),
  },
  mixed: {
    title: 'Accepting and delivering at once',
    run: async (context) => mixedFindings(await measureMixed(context)),
  },
  many: {
    title: 'Delivering to many destinations',
    run: async (context) => manyFindings(await measureMany(context)),
  },
  routed: {
    title: 'Accepting events by rules',
    run: async (context) => routedFindings(await measureRouted(context)),
  },
  batch: {
    title: 'Accepting events in batches',
    run: async (context) => batchFindings(await measureBatch(context)),
  },
  statements: {
    title: 'Counting statements',
    run: async (context) => statementFindings(await measureStatements(context)),
  },
};
