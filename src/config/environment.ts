import type { Rate } from '../core/token-bucket.ts';

/** The package ms also reads "2 days", "1y" and negative numbers. A setting has one notation. */
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;
const RATE = /^(\d{1,6})\/([smhd])$/;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** An invalid setting. The message is one line for the operator and names the variable. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

interface Range {
  readonly min: number;
  readonly max: number;
}

/**
 * Parsers for environment variables. An empty value counts as not set. Schema libraries such as envalid and zod report
 * errors in their own format, on several lines.
 */
export class Environment {
  readonly #variables: Readonly<Record<string, string | undefined>>;

  constructor(variables: Readonly<Record<string, string | undefined>>) {
    this.#variables = variables;
  }

  text(name: string, fallback: string): string {
    const value = this.#variables[name]?.trim();
    return value === undefined || value === '' ? fallback : value;
  }

  integer(name: string, fallback: number, range: Range): number {
    const text = this.text(name, fallback.toString());
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= range.min && value <= range.max)) {
      throw new ConfigError(`${name} must be a whole number from ${range.min} to ${range.max}.`);
    }
    return value;
  }

  oneOf<const Choice extends string>(name: string, choices: readonly Choice[], fallback: Choice): Choice {
    const text = this.text(name, fallback);
    const choice = choices.find((one) => one === text);
    if (choice === undefined) {
      throw new ConfigError(`${name} must be one of ${choices.join(', ')}.`);
    }
    return choice;
  }

  /** @returns the named choices, which are separated by commas; all of them when the variable is not set */
  someOf<const Choice extends string>(name: string, choices: readonly Choice[]): Choice[] {
    const named = this.text(name, choices.join(','))
      .split(',')
      .map((part) => part.trim());
    if (!named.every((part) => choices.some((choice) => choice === part))) {
      throw new ConfigError(`${name} must be one or more of ${choices.join(', ')}, separated by commas.`);
    }
    return choices.filter((choice) => named.includes(choice));
  }

  /** @returns milliseconds */
  duration(name: string, fallback: string, range: Range): number {
    const value = durationMs(this.text(name, fallback));
    if (!(value >= range.min && value <= range.max)) {
      throw new ConfigError(`${name} must be a duration such as 500ms, 15s, 2m, 1h or 1d, ${limits(range)}.`);
    }
    return value;
  }

  /** @returns milliseconds; an empty list for `none` */
  durations(name: string, fallback: string, range: Range): number[] {
    const text = this.text(name, fallback);
    const values = text === 'none' ? [] : text.split(',').map((part) => durationMs(part.trim()));
    if (!values.every((value) => value >= range.min && value <= range.max)) {
      throw new ConfigError(
        `${name} must be durations separated by commas, such as 5s,30s,2m, each ${limits(range)}, or "none".`,
      );
    }
    return values;
  }

  /** @returns `undefined` for `none` */
  rate(name: string, fallback: string): Rate | undefined {
    const text = this.text(name, fallback);
    const [, count = '', unit = ''] = RATE.exec(text) ?? [];
    if (text !== 'none' && !(Number(count) > 0)) {
      throw new ConfigError(`${name} must be a number and a time, such as 100/s, 6000/m or 1000/h, or "none".`);
    }
    return text === 'none' ? undefined : { count: Number(count), perMs: UNIT_MS[unit] ?? Number.NaN };
  }
}

function durationMs(text: string): number {
  const [, amount, unit] = DURATION.exec(text) ?? [];
  return amount === undefined || unit === undefined
    ? Number.NaN
    : Math.round(Number(amount) * (UNIT_MS[unit] ?? Number.NaN));
}

function limits(range: Range): string {
  return range.min === 0 ? `at most ${range.max / 1000}s` : `from ${range.min / 1000}s to ${range.max / 1000}s`;
}
