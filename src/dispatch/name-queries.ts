import type { LookupAddress, RecordWithTtl, Resolver } from 'node:dns';
import { candidatesOf, type SearchRule } from './name-sources.ts';

/** Once there are addresses of one family, the other is waited for no longer (RFC 8305, section 3, has 50 ms). */
const OTHER_FAMILY_MS = 100;

export interface NameAnswer {
  /** IPv4 before IPv6; empty where the name has none. */
  readonly addresses: readonly LookupAddress[];
  readonly ttlMs: number;
}

interface FamilyAnswer {
  readonly family: 4 | 6;
  readonly records: readonly RecordWithTtl[];
  /** Why there are none, in the words of `node:dns`. */
  readonly code: string | undefined;
}

/** The codes of name servers that know: there is no such name, or it has no address of the family. */
const KNOWN_TO_BE_NONE: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA', 'EBADNAME', 'EBADQUERY']);

/**
 * Asks for all that the search rule makes of a name, in turn, until one has addresses.
 *
 * @param onQuery is called with what ends when name servers have been left in peace, which may be later
 * @returns `undefined` when nobody could say
 */
export async function queryName(
  name: string,
  { resolver, search }: { readonly resolver: Resolver; readonly search: SearchRule },
  onQuery: (done: Promise<unknown>) => void,
): Promise<NameAnswer | undefined> {
  let isKnown = true;
  for (const candidate of candidatesOf(name, search)) {
    const families = [4 as const, 6 as const].map((family) => queryFamily(resolver, candidate, family));
    onQuery(Promise.all(families));
    const answers = await firstAnswers(families);
    const found = joined(answers);
    if (found.addresses.length > 0) {
      return found;
    }
    isKnown &&= answers.every(({ code }) => code === undefined || KNOWN_TO_BE_NONE.has(code));
    // Whoever is silent to one name will be silent to the next.
    if (answers.some(({ code }) => code === 'ETIMEOUT')) {
      break;
    }
  }
  return isKnown ? { addresses: [], ttlMs: 0 } : undefined;
}

function queryFamily(resolver: Resolver, name: string, family: 4 | 6): Promise<FamilyAnswer> {
  return new Promise((resolve) => {
    const settle = (error: NodeJS.ErrnoException | null, records: RecordWithTtl[]): void =>
      resolve({ family, records: error === null ? records : [], code: error?.code ?? undefined });
    try {
      if (family === 4) {
        resolver.resolve4(name, { ttl: true }, settle);
      } else {
        resolver.resolve6(name, { ttl: true }, settle);
      }
    } catch (error) {
      // Of a name that cannot be asked for it tells at once.
      settle(error as NodeJS.ErrnoException, []);
    }
  });
}

async function firstAnswers(families: readonly Promise<FamilyAnswer>[]): Promise<FamilyAnswer[]> {
  const first = await Promise.race(families);
  const both = Promise.all(families);
  if (first.records.length === 0) {
    return both;
  }
  const { promise: patience, resolve } = Promise.withResolvers<FamilyAnswer[]>();
  const timer = setTimeout(() => resolve([first]), OTHER_FAMILY_MS);
  const answers = await Promise.race([both, patience]);
  clearTimeout(timer);
  return answers;
}

function joined(answers: readonly FamilyAnswer[]): NameAnswer {
  const records = answers.flatMap((answer) => answer.records.map((record) => ({ ...record, family: answer.family })));
  return {
    addresses: records.map(({ address, family }) => ({ address, family })),
    ttlMs: Math.min(...records.map(({ ttl }) => ttl)) * 1_000,
  };
}
