/** Jest runs the TypeScript sources through swc: the compiler itself (TypeScript 7) has no API that ts-jest could load. */
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/tests'],
  testMatch: ['**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2024',
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: false },
        },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  // They stop and freeze databases for minutes: npm run faults.
  testPathIgnorePatterns: process.env.FAULTS === 'true' ? [] : ['/tests/faults/'],
  testTimeout: 30_000,
  // Most of them wait for processes, and leave room for each other.
  maxWorkers: '100%',
  // Modules are not given back when a suite has ended; a process that carries many along spends its time on them.
  workerIdleMemoryLimit: '600MB',
};
