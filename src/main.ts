import { refuseOldNode } from './node-version.ts';

refuseOldNode();
// Loaded afterwards: native modules may crash an older Node before it has said why.
const { run } = await import('./run.ts');
await run(process.argv.slice(2));
