const REQUIRED = [22, 17] as const;

/** Ends the process with a clear message if Node is too old for the libraries. */
function refuseOldNode(): void {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < REQUIRED[0] || (major === REQUIRED[0] && minor < REQUIRED[1])) {
    process.stderr.write(
      `Data Pusher needs Node ${REQUIRED.join('.')} or newer; this is ${process.versions.node}. "npm start" uses the version that "npm ci" installs.\n`,
    );
    process.exit(1);
  }
}

refuseOldNode();
// Imported after the check: native modules may crash an older Node before it can print the message.
const { run } = await import('./commands/run.ts');
await run(process.argv.slice(2));
