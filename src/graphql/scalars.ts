import { GraphQLScalarType, Kind } from 'graphql';
import { GraphQLDateTime, GraphQLDuration } from 'graphql-scalars';
import { parse, serialize, type Duration as DurationParts } from 'tinyduration';

/** A scalar's error, with a rule for the caller. */
export class RefusedValue extends Error {
  override readonly name = 'RefusedValue';
  /** The end of a sentence that begins with the field's name. It never repeats the value, which may be a secret. */
  readonly rule: string;

  constructor(rule: string) {
    super(rule);
    this.rule = rule;
  }
}

/** The library's scalar lacks `specifiedByURL`. */
export const DateTime = new GraphQLScalarType({
  ...GraphQLDateTime.toConfig(),
  specifiedByURL: 'https://www.rfc-editor.org/rfc/rfc3339#section-5.6',
});

/** Parsed to milliseconds. The library's scalar keeps the text, and accepts years and months. */
export const Duration = new GraphQLScalarType<number, string>({
  name: 'Duration',
  description:
    'A length of time in ISO 8601, such as P2W, P7D, PT1H30M or PT0.5S: weeks, days of 24 hours, hours, minutes and seconds, to the millisecond. Years and months are refused, because their length varies; so is a negative duration.',
  specifiedByURL: 'https://www.iso.org/standard/70907.html',
  parseValue: parseDuration,
  parseLiteral: (node) => parseDuration(node.kind === Kind.STRING ? node.value : undefined),
  serialize: (milliseconds) => durationText(milliseconds as number),
});

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const FORM = 'must be an ISO 8601 duration of weeks, days, hours, minutes and seconds, such as P7D, PT1H30M or PT0.5S.';
const NO_YEARS_OR_MONTHS =
  'must be an ISO 8601 duration without years and months, because their length varies; use weeks or days, such as P4W or P30D.';
const NOT_NEGATIVE = 'must be an ISO 8601 duration that is not negative.';

/**
 * @returns whole milliseconds
 * @throws RefusedValue
 */
function parseDuration(value: unknown): number {
  const parts = partsOf(value);
  if (parts.years !== undefined || parts.months !== undefined) {
    throw new RefusedValue(NO_YEARS_OR_MONTHS);
  }
  const { weeks = 0, days = 0, hours = 0, minutes = 0, seconds = 0, negative = false } = parts;
  const length = (weeks * 7 + days) * DAY_MS + hours * HOUR_MS + minutes * MINUTE_MS + seconds * SECOND_MS;
  const milliseconds = Math.round(negative ? -length : length);
  if (milliseconds < 0) {
    throw new RefusedValue(NOT_NEGATIVE);
  }
  if (!Number.isSafeInteger(milliseconds)) {
    throw new RefusedValue(FORM);
  }
  return Math.abs(milliseconds);
}

/** Longer than any useful duration. tinyduration's time grows with the square of the number of digits. */
const LENGTH_MAX = 100;

/** graphql-scalars validates the text, because tinyduration accepts a duration anywhere in it, and no plus sign. */
function partsOf(value: unknown): DurationParts {
  if (typeof value !== 'string' || value.length > LENGTH_MAX) {
    throw new RefusedValue(FORM);
  }
  try {
    return parse(GraphQLDuration.parseValue(value).replaceAll('+', ''));
  } catch {
    throw new RefusedValue(FORM);
  }
}

/** Uses days above 24 hours. One day stays PT24H, the default in the schema. */
function durationText(milliseconds: number): string {
  const days = milliseconds > DAY_MS ? Math.floor(milliseconds / DAY_MS) : 0;
  const rest = milliseconds - days * DAY_MS;
  return serialize({
    days,
    hours: Math.floor(rest / HOUR_MS),
    minutes: Math.floor((rest % HOUR_MS) / MINUTE_MS),
    seconds: (rest % MINUTE_MS) / SECOND_MS,
  });
}
