const REQUIRED = [22, 17] as const;

/** Ends the process with one clear line where the runtime is too old for the libraries. */
function refuseOldNode(): void {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < REQUIRED[0] || (major === REQUIRED[0] && minor < REQUIRED[1])) {
    process.stderr.write(
      `Data Pusher needs Node ${REQUIRED.join('.')} or newer and this is ${process.versions.node}; "npm start" uses the one that "npm ci" brings along.\n`,
    );
    process.exit(1);
  }
}

refuseOldNode();
// Loaded afterwards: native modules may crash an older Node before it has said why.
const { run } = await import('./commands/run.ts');
await run(process.argv.slice(2));
