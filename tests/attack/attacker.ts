/** A program of its own that attacks until it is killed: `attacker.ts <attack> <origin> <token>`. */
import { ATTACKS, type Target } from './attacks.ts';

const [, , name = '', origin = '', token = ''] = process.argv;
const { hostname, port } = new URL(origin);
const target: Target = { host: hostname, port: Number(port), token };

process.on('disconnect', () => process.exit());
// Whatever the server does to an attacker's connections is its good right.
process.on('uncaughtException', () => {});

const attack = ATTACKS[name];
if (attack === undefined) {
  throw new Error(`There is no attack "${name}".`);
}
let count = 0;
setInterval(() => process.send?.(count), 200);
await attack(target, () => {
  count += 1;
});
