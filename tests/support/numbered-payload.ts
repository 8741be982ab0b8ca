/** The payload of event number so and so: of various sizes, and of a text that only this number has. */
export function numberedPayload(number: number): string {
  return `{"number": ${number}, "filler": "${`${number} `.repeat(number % 300)}"}`;
}

export function numberOf(payload: Buffer | string): number {
  return Number(/"number": (\d+)/u.exec(payload.toString())?.[1]);
}
