import { describe, expect, test } from '@jest/globals';
import { FailureLimit, networkOf } from '../../src/access/limits.ts';

const RATE = { count: 3, perMs: 60_000 };

class Fixture {
  now = 1_000_000;
  readonly limit = new FailureLimit(RATE, { now: () => this.now });

  fail(times: number, address = '192.0.2.1'): void {
    for (let time = 1; time <= times; time += 1) {
      this.limit.begin(address, `guess ${time}`).failed();
    }
  }

  waitMs(address = '192.0.2.1', credential = 'a guess'): number {
    return this.limit.begin(address, credential).waitMs;
  }
}

describe('FailureLimit', () => {
  test('an address that fails too often waits until the time is over, and no other does', () => {
    const fixture = new Fixture();
    fixture.fail(2);
    expect(fixture.waitMs()).toBe(0);
    fixture.now += 10_000;
    fixture.fail(1);
    expect(fixture.waitMs()).toBe(50_000);
    expect(fixture.waitMs('192.0.2.2')).toBe(0);
    fixture.now += 49_999;
    expect(fixture.waitMs()).toBe(1);
    fixture.now += 1;
    expect(fixture.waitMs()).toBe(0);
    fixture.fail(2);
    expect(fixture.waitMs()).toBe(0);
  });

  test('what was right from the same address is let in, until it is wrong', () => {
    const fixture = new Fixture();
    fixture.limit.begin('192.0.2.1', 'right').succeeded();
    fixture.fail(3);
    expect(fixture.waitMs('192.0.2.1', 'right')).toBe(0);
    expect(fixture.waitMs('192.0.2.1', 'Right')).toBe(60_000);
    fixture.fail(3, '192.0.2.2');
    expect(fixture.waitMs('192.0.2.2', 'right')).toBe(60_000);
    fixture.limit.begin('192.0.2.1', 'right').failed();
    expect(fixture.waitMs('192.0.2.1', 'right')).toBe(60_000);
  });

  test('a clock that goes back does not make it longer', () => {
    const fixture = new Fixture();
    fixture.fail(3);
    fixture.now = 0;
    expect(fixture.waitMs()).toBe(60_000);
  });

  test('a flood of addresses and credentials does not fill the memory, and who fails now is stopped all the same', () => {
    const fixture = new Fixture();
    for (let number = 0; number < 50_000; number += 1) {
      const address = `2001:db8:${number.toString(16)}::/64`;
      fixture.fail(1, address);
      fixture.limit.begin(address, 'right').succeeded();
    }
    fixture.fail(3);
    expect(fixture.limit.size).toBe(20_000);
    expect(fixture.waitMs()).toBe(60_000);
  });
});

describe('networkOf', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:201', '192.0.2.1'],
    ['2001:DB8::1', '2001:db8:0:0::/64'],
    ['2001:db8:0:0:ffff::2', '2001:db8:0:0::/64'],
    ['2001:db8:0:1::1', '2001:db8:0:1::/64'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4::/64'],
    ['1:2:3:4:5:6:192.0.2.1', '1:2:3:4::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::192.0.2.1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ])('%s is in %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});
