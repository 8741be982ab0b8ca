/** A request that the ingest route refuses: what the table of answers says of it. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;

  private constructor(
    status: number,
    body: Readonly<Record<string, unknown>>,
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(String(body['detail'] ?? body['message']));
    this.status = status;
    this.body = body;
    this.headers = headers;
  }

  static unauthenticated(): Refusal {
    return new Refusal(401, { success: false, message: 'Un Authenticate' });
  }

  static invalid(detail: string): Refusal {
    return new Refusal(400, invalidData(detail));
  }

  static methodNotAllowed(): Refusal {
    return new Refusal(405, invalidData('Send events with the method POST.'), { Allow: 'POST' });
  }

  static tooLarge(maxBytes: number): Refusal {
    return new Refusal(
      413,
      invalidData(`The body must not be larger than ${maxBytes} bytes, before and after decompression.`),
    );
  }

  static conflict(detail: string): Refusal {
    return new Refusal(409, { success: false, message: 'Conflict', detail });
  }

  /** @param waitMs until it would not be refused for this */
  static tooMany(detail: string, waitMs: number): Refusal {
    const body = { success: false, message: 'Too Many Requests', detail };
    return new Refusal(429, body, { 'Retry-After': Math.max(1, Math.ceil(waitMs / 1_000)).toString() });
  }

  static loopDetected(): Refusal {
    return new Refusal(508, { success: false, message: 'Loop Detected' });
  }

  static unavailable(): Refusal {
    return new Refusal(503, { success: false, message: 'Service Unavailable' }, { 'Retry-After': '5' });
  }
}

function invalidData(detail: string): Record<string, unknown> {
  return { success: false, message: 'Invalid Data', detail };
}
