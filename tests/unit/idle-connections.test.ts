import { array, assert, boolean, nat, property, record } from 'fast-check';
import { expect, test } from '@jest/globals';
import { IdleConnections } from '../../src/http/connections.ts';

test('the connection that is named waits longest of a network that has most, whatever came and went before', () => {
  const step = record({ connection: nat(11), isAdded: boolean() });
  assert(
    property(array(step, { maxLength: 60 }), (steps) => {
      const idle = new IdleConnections<number>();
      const waiting: number[] = [];
      for (const { connection, isAdded } of steps) {
        const index = waiting.indexOf(connection);
        if (isAdded && index === -1) {
          waiting.push(connection);
          idle.add(connection, networkOf(connection));
        } else if (!isAdded) {
          waiting.splice(index, index === -1 ? 0 : 1);
          idle.remove(connection, networkOf(connection));
        }
        const networks = Map.groupBy(waiting, networkOf);
        const most = Math.max(0, ...[...networks.values()].map(({ length }) => length));
        const candidates = [...networks.values()].filter(({ length }) => length === most).map(([first]) => first);
        expect(waiting.length === 0 ? [undefined] : candidates).toContain(idle.longestOfMost());
      }
    }),
  );
});

/** Four networks of three. */
function networkOf(connection: number): string {
  return `${connection % 4}`;
}
