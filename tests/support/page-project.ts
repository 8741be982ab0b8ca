import { execFile } from 'node:child_process';
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { preset } from '@graphql-codegen/client-preset';
import { codegen } from '@graphql-codegen/core';
import { buildSchema, parse } from 'graphql';

const run = promisify(execFile);

/** As the page has it: the parts of GraphQL Code Generator's configuration that it uses. */
export interface CodegenConfig {
  readonly schema: string;
  readonly documents: string;
  readonly generates: Readonly<Record<string, { readonly preset: string; readonly presetConfig: object }>>;
  readonly config: { readonly scalars: Readonly<Record<string, string>> };
}

/** What a new project of a front end has, with every check that TypeScript offers in one word. */
const TSCONFIG = {
  compilerOptions: {
    strict: true,
    target: 'es2024',
    lib: ['es2024', 'dom'],
    module: 'esnext',
    moduleResolution: 'bundler',
    verbatimModuleSyntax: true,
    allowImportingTsExtensions: true,
    skipLibCheck: true,
    types: [],
    noEmit: true,
  },
  include: ['src'],
};

const BLOCK = /^```ts\n(?<code>\/\/ (?<name>\S+)\n[\s\S]*?)^```$/gmu;
const DOCUMENT = /\bgraphql\(`(?<text>[^`]+)`\)/gu;

/** The TypeScript of a page as a project: each block is the file that its first line names. */
export class PageProject {
  readonly names: readonly string[];
  readonly #folder = mkdtempSync(join(tmpdir(), 'data-pusher-page-'));

  /** @param origin where the server is, in the place of the one on the page. */
  constructor(page: string, origin: string) {
    const blocks = [...page.matchAll(BLOCK)].map(({ groups }) => groups as { name: string; code: string });
    for (const { name, code } of blocks) {
      this.#write(name, code.replaceAll('http://127.0.0.1:4000', origin));
    }
    this.names = blocks.map(({ name }) => name);
    this.#write('tsconfig.json', JSON.stringify(TSCONFIG));
    cpSync('schema.graphql', join(this.#folder, 'schema.graphql'));
    symlinkSync(resolve('node_modules'), join(this.#folder, 'node_modules'));
  }

  // oxlint-disable-next-line typescript/no-explicit-any -- the compiler has seen the types, in the project itself
  async import(name: string): Promise<any> {
    return import(join(this.#folder, name));
  }

  /** Does what the generator's command line does with the configuration, without the two hundred packages of it. */
  async generate({ schema, documents, generates, config }: CodegenConfig): Promise<void> {
    const text = readFileSync(join(this.#folder, schema), 'utf8');
    const sources = globSync(documents, { cwd: this.#folder }).flatMap((location) => this.#documentsOf(location));
    for (const [baseOutputDir, { presetConfig }] of Object.entries(generates)) {
      const sections = await preset.buildGeneratesSection({
        baseOutputDir,
        presetConfig,
        config,
        schema: parse(text),
        schemaAst: buildSchema(text),
        documents: sources,
        plugins: [],
        pluginMap: {},
      });
      for (const section of sections) {
        this.#write(section.filename, await codegen(section));
      }
    }
  }

  /** @returns what the compiler finds wrong; nothing when all is well. */
  async compile(): Promise<string> {
    const compiler = resolve('node_modules/typescript/bin/tsc');
    try {
      await run(process.execPath, [compiler, '--project', this.#folder]);
      return '';
    } catch (error) {
      const { stdout, stderr, message } = error as Error & { stdout: string; stderr: string };
      return stdout || stderr || message;
    }
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }

  #documentsOf(location: string) {
    const matches = readFileSync(join(this.#folder, location), 'utf8').matchAll(DOCUMENT);
    return [...matches].map(({ groups }) => {
      const rawSDL = groups?.['text'] as string;
      return { location, rawSDL, document: parse(rawSDL) };
    });
  }

  #write(name: string, text: string): void {
    const path = join(this.#folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
}
