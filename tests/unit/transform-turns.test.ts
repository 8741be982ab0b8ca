import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { type Job, TransformTurns } from '../../src/transform/turns.ts';

const ANY = (): boolean => true;

class Turns {
  readonly turns = new TransformTurns();

  add(accountId: string, laneId = 'd', expression = ''): Job {
    const order = { kind: 'transform', accountId, expression, payload: Buffer.alloc(0) } as const;
    const lane = this.turns.lane(accountId, laneId);
    const job: Job = { order, lane, resolve: () => undefined, reject: () => undefined, chargedMs: 0, interruptions: 0 };
    this.turns.add(job);
    return job;
  }

  /** Runs the next job, which costs so much, and says whose it was. */
  run(costMs: (name: string) => number): string {
    const job = this.turns.next(ANY) as Job;
    const name = `${job.order.accountId}/${job.lane.id}`;
    this.turns.settle(job, costMs(name));
    return name;
  }
}

function costs(known: Readonly<Record<string, number>>): (name: string) => number {
  return (name) => known[name.split('/')[0] as string] ?? 0.1;
}

test('jobs of one destination stay in order', () => {
  const world = new Turns();
  const added = ['1', '2', '3'].map((expression) => world.add('a', 'd', expression));
  expect([1, 2, 3].map(() => world.turns.next(ANY))).toEqual(added);
  expect(world.turns.next(ANY)).toBeUndefined();
});

test('accounts share the time and not the turns', () => {
  const world = new Turns();
  const cost = costs({ costly: 50, cheap: 1 });
  for (let n = 0; n < 200; n += 1) {
    world.add('costly');
    world.add('cheap');
  }
  const served = Array.from({ length: 160 }, () => world.run(cost));
  const costly = served.filter((name) => name === 'costly/d').length;
  expect(costly).toBeGreaterThanOrEqual(2);
  expect(costly).toBeLessThanOrEqual(5);
});

test('destinations of one account share its time, and not that of others', () => {
  const world = new Turns();
  const cost = costs({ many: 10, one: 10 });
  for (let n = 0; n < 100; n += 1) {
    for (let lane = 0; lane < 10; lane += 1) {
      world.add('many', `d${lane}`);
    }
    world.add('one');
  }
  const served = Array.from({ length: 100 }, () => world.run(cost));
  expect(served.filter((name) => name === 'one/d').length).toBeGreaterThanOrEqual(45);
  expect(new Set(served).size).toBe(11);
});

test('who comes with a cheap expression is served before those that were costly, and before unknown ones', () => {
  const world = new Turns();
  const cost = costs({ costly: 150 });
  world.add('cheap');
  world.add('costly');
  world.run(cost);
  world.run(cost);
  for (let n = 0; n < 3; n += 1) {
    world.add('costly');
    world.add(`unknown ${n}`);
  }
  world.add('cheap');
  expect(Array.from({ length: 7 }, () => world.run(cost))).toEqual([
    'cheap/d',
    'unknown 0/d',
    'unknown 1/d',
    'unknown 2/d',
    'costly/d',
    'costly/d',
    'costly/d',
  ]);
});

test('who wanted nothing has saved nothing up', () => {
  const world = new Turns();
  const cost = costs({ late: 10, busy: 10 });
  world.add('late');
  world.run(cost);
  for (let n = 0; n < 300; n += 1) {
    world.add('busy');
  }
  Array.from({ length: 100 }, () => world.run(cost));
  for (let n = 0; n < 100; n += 1) {
    world.add('late');
  }
  const served = Array.from({ length: 20 }, () => world.run(cost));
  expect(served.filter((name) => name === 'busy/d').length).toBeGreaterThanOrEqual(8);
});

test('a job that is put back is the first of its destination again, and has cost nothing', () => {
  const world = new Turns();
  const [first, second] = [world.add('a'), world.add('a')];
  world.add('b');
  expect(world.turns.next(ANY)).toBe(first);
  world.turns.putBack(first);
  expect(world.turns.size).toBe(3);
  expect(world.turns.next(({ account }) => account.id === 'a')).toBe(first);
  expect(world.turns.next(({ account }) => account.id === 'a')).toBe(second);
});

test('what does not fit is passed over', () => {
  const world = new Turns();
  world.add('a');
  const fitting = world.add('b');
  expect(world.turns.next(({ account }) => account.id === 'b')).toBe(fitting);
  expect(world.turns.next(({ account }) => account.id === 'b')).toBeUndefined();
  expect(world.turns.size).toBe(1);
});

type Step = { add: string; lane: string } | { costMs: number } | 'put back' | 'clear';

/** @returns what is wrong after the step, if something is */
function faultOf(step: Step, world: Turns, waiting: Set<Job>): string | undefined {
  if (step === 'clear') {
    const cleared = new Set(world.turns.clear());
    const isRight = cleared.size === waiting.size && [...cleared].every((job) => waiting.has(job));
    waiting.clear();
    return isRight ? undefined : 'other jobs were cleared';
  }
  if (typeof step === 'object' && 'add' in step) {
    waiting.add(world.add(step.add, step.lane));
    return undefined;
  }
  const job = world.turns.next(ANY);
  if (job === undefined || !waiting.has(job)) {
    return job === undefined && waiting.size === 0 ? undefined : 'the wrong job';
  }
  if (step === 'put back') {
    world.turns.putBack(job);
  } else {
    world.turns.settle(job, step.costMs);
    waiting.delete(job);
  }
  return undefined;
}

test('every job is handed out once, and the size is always right', () => {
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ add: fc.constantFrom('a', 'b', 'c'), lane: fc.constantFrom('x', 'y') }),
    fc.record({ costMs: fc.double({ min: 0, max: 200, noNaN: true }) }),
    fc.constantFrom<Step>('put back', 'clear'),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const world = new Turns();
      const waiting = new Set<Job>();
      for (const one of steps) {
        expect(faultOf(one, world, waiting)).toBeUndefined();
        expect(world.turns.size).toBe(waiting.size);
      }
    }),
  );
});
