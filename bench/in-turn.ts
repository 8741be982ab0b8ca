/** Measures A B C C B A A B C ..., so that a machine that grows slower or faster favours none. */
export async function inTurn(rounds: number, ...works: readonly (() => Promise<void>)[]): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    for (const work of round % 2 === 0 ? works : works.toReversed()) {
      await work();
    }
  }
}
