/** Measures A and B in the order A B B A A B ..., so that a machine that grows slower or faster favours neither. */
export async function inTurn(rounds: number, a: () => Promise<void>, b: () => Promise<void>): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    const [first, second] = round % 2 === 0 ? [a, b] : [b, a];
    await first();
    await second();
  }
}
