/** A program that runs an endless expression, again and again, and tells the ids of the processes that do. */
import { Transforming } from './transforming.ts';

const ENDLESS = '$match(text, /^(a+)+$/)';
const transforming = new Transforming();
let told = 0;

for (;;) {
  const ended = transforming.transform(ENDLESS, { text: `${'a'.repeat(40)}!` });
  for (; told < transforming.processes.length; told += 1) {
    const { pid, stdout } = transforming.processes[told] ?? {};
    stdout?.once('data', () => process.send?.(pid));
  }
  await ended;
}
