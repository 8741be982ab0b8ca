import cors from 'cors';
import type { RequestHandler } from 'express';

/** Apollo Sandbox, embedded and in its own tab. */
const SANDBOX_ORIGINS: ReadonlySet<string> = new Set([
  'https://studio.apollographql.com',
  'https://sandbox.embed.apollographql.com',
  'https://explorer.embed.apollographql.com',
]);
const LOOPBACK_ORIGIN = /^https?:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/u;

/**
 * Which web pages may call the API from a browser: Sandbox, and front ends under development on this
 * machine. Any other page that a visitor happens to open could otherwise read every token.
 */
export function apiCors(): RequestHandler[] {
  const handle = cors({
    origin: (origin, decide) => decide(null, origin !== undefined && isAllowed(origin)),
    maxAge: 600,
  });
  return [allowPrivateNetwork, handle];
}

function isAllowed(origin: string): boolean {
  return SANDBOX_ORIGINS.has(origin) || LOOPBACK_ORIGIN.test(origin);
}

/** Chromium asks before it lets a public page such as Sandbox call a server on this machine. */
const allowPrivateNetwork: RequestHandler = (request, response, next) => {
  if (request.headers['access-control-request-private-network'] === 'true' && isAllowed(request.headers.origin ?? '')) {
    response.setHeader('Access-Control-Allow-Private-Network', 'true');
  }
  next();
};
