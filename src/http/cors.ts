import cors from 'cors';
import type { RequestHandler } from 'express';

/** Apollo Sandbox, embedded and in its own tab. */
const SANDBOX_ORIGINS: ReadonlySet<string> = new Set([
  'https://studio.apollographql.com',
  'https://sandbox.embed.apollographql.com',
  'https://explorer.embed.apollographql.com',
]);
const LOOPBACK_ORIGIN = /^https?:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/u;

export interface CorsOptions {
  /** Allowed wherever the server runs. */
  readonly origins: readonly string[];
  readonly isExposed: boolean;
}

/**
 * Which web pages may call the API from a browser: those of the configured origins and, on a developer's
 * machine, Sandbox and front ends on the same machine. Where everyone is the administrator, any other page that
 * a visitor happens to open could otherwise read every token. The headers that a page asks to send are allowed.
 */
export function apiCors({ origins, isExposed }: CorsOptions): RequestHandler[] {
  const configured = new Set(origins);
  const isAllowed = (origin: string | undefined): boolean =>
    origin !== undefined && (configured.has(origin) || (!isExposed && isLocalTool(origin)));
  const handle = cors({ origin: (origin, decide) => decide(null, isAllowed(origin)), maxAge: 600 });
  return [allowPrivateNetwork(isAllowed), handle];
}

function isLocalTool(origin: string): boolean {
  return SANDBOX_ORIGINS.has(origin) || LOOPBACK_ORIGIN.test(origin);
}

/** Chromium asks before it lets a public page such as Sandbox call a server on this machine. */
function allowPrivateNetwork(isAllowed: (origin: string | undefined) => boolean): RequestHandler {
  return (request, response, next) => {
    if (request.headers['access-control-request-private-network'] === 'true' && isAllowed(request.headers.origin)) {
      response.setHeader('Access-Control-Allow-Private-Network', 'true');
    }
    next();
  };
}
