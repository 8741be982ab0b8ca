const DAY_NAME = '(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?';
const MONTH = '(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)';
const TIME = String.raw`\d{2}:\d{2}:\d{2}`;

/** The three spellings of a date that RFC 9110, 5.6.7 asks of a recipient; the last one does not name its zone. */
const HTTP_DATE = new RegExp(
  String.raw`^(?:${DAY_NAME}, (?:\d{2} ${MONTH} \d{4}|\d{2}-${MONTH}-\d{2}) ${TIME} GMT|${DAY_NAME} ${MONTH} [ \d]\d ${TIME} \d{4})$`,
  'u',
);

/**
 * How long `Retry-After` asks to wait, in milliseconds: seconds, or a date (RFC 9110, 10.2.3). A date that is
 * past is a wait below zero.
 *
 * @param now milliseconds since the Unix epoch
 * @returns `undefined` when it is neither.
 */
export function parseRetryAfter(value: string, now: number): number | undefined {
  if (/^\d+$/u.test(value)) {
    return Number(value) * 1000;
  }
  if (!HTTP_DATE.test(value)) {
    return undefined;
  }
  const date = Date.parse(value.endsWith(' GMT') ? value : `${value} GMT`);
  return Number.isNaN(date) ? undefined : date - now;
}
