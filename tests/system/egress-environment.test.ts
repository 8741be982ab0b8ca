import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { join } from 'node:path';
import type { AddressInfo } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type Certificate, selfSigned } from '../support/certificate.ts';
import { ConnectProxy } from '../support/connect-proxy.ts';
import type { ServerProcess } from '../support/server-process.ts';
import { Workbench } from '../support/workbench.ts';

const QUERY = `query ($id: ID!) { event(id: $id) { deliveries { attempts { statusCode error } } } }`;
const SETTINGS = { RETRY_SCHEDULE: 'none' };

let bench: Workbench;
let proxy: ConnectProxy;

beforeEach(async () => {
  bench = new Workbench();
  proxy = await ConnectProxy.start();
});
afterEach(async () => {
  await bench.clear();
  await proxy.stop();
});

/** What became of the one attempt at a delivery. */
async function attemptAt(server: ServerProcess, url: string): Promise<{ statusCode: number; error: string }> {
  const { id, token } = await server.createAccount();
  await server.createDestination(id, url);
  const eventId = await server.sendAccepted(token, '{}');
  const attempts = await server.eventually(
    async () => (await server.data(QUERY, { id: eventId })).event.deliveries[0].attempts,
    (made) => made.length > 0,
  );
  return attempts[0];
}

describe.each(['0', '1'])('with SENDER_THREADS=%s', (SENDER_THREADS) => {
  test('the proxy that the environment names is not used', async () => {
    const receiver = await bench.receiver();
    const url = `http://127.0.0.1:${proxy.port}`;
    const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy'];
    const variables = Object.fromEntries([...names, 'GLOBAL_AGENT_HTTP_PROXY'].map((name) => [name, url]));
    const server = await bench.start({ ...SETTINGS, ...variables, SENDER_THREADS, NODE_USE_ENV_PROXY: '1' });
    expect(await attemptAt(server, receiver.url())).toEqual({ statusCode: 200, error: null });
    await attemptAt(server, receiver.url().replace('http:', 'https:'));
    expect(proxy.asked).toEqual([]);
  });

  test('EGRESS_PROXY is, for https too', async () => {
    const tls = await TlsReceiver.start(selfSigned('a.example'));
    const trusted = join(bench.folder, 'trusted.pem');
    writeFileSync(trusted, tls.certificate.cert);
    const EGRESS_PROXY = `http://127.0.0.1:${proxy.port}`;
    const server = await bench.start({ ...SETTINGS, EGRESS_PROXY, SENDER_THREADS, NODE_EXTRA_CA_CERTS: trusted });
    const url = `https://a.example:${tls.port}/`;
    expect(await attemptAt(server, url)).toEqual({ statusCode: 200, error: null });
    expect(proxy.asked).toMatchObject([{ method: 'CONNECT', target: `a.example:${tls.port}` }]);
    expect(await attemptAt(server, `https://b.example:${tls.port}/`)).toEqual({ statusCode: null, error: 'TLS' });
    expect(tls.requests).toBe(1);
    await tls.stop();
  });

  test('a certificate that cannot be trusted is refused, whatever NODE_TLS_REJECT_UNAUTHORIZED says', async () => {
    const tls = await TlsReceiver.start(selfSigned('localhost'));
    const server = await bench.start({ ...SETTINGS, SENDER_THREADS, NODE_TLS_REJECT_UNAUTHORIZED: '0' });
    expect(await attemptAt(server, `https://localhost:${tls.port}/`)).toEqual({ statusCode: null, error: 'TLS' });
    expect(tls.requests).toBe(0);
    await tls.stop();
  });

  test.each([
    ['TLSv1.1', { statusCode: null, error: 'TLS' }, 0],
    ['TLSv1.2', { statusCode: 200, error: null }, 1],
    ['TLSv1.3', { statusCode: 200, error: null }, 1],
  ] as const)(
    'a server that speaks %s only, when Node would allow older versions',
    async (version, attempt, requests) => {
      const old = { minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' } as const;
      const tls = await TlsReceiver.start(selfSigned('localhost'), old);
      const trusted = join(bench.folder, 'trusted.pem');
      writeFileSync(trusted, tls.certificate.cert);
      const NODE_OPTIONS = '--tls-min-v1.0 --tls-cipher-list=DEFAULT@SECLEVEL=0';
      const server = await bench.start({ ...SETTINGS, SENDER_THREADS, NODE_OPTIONS, NODE_EXTRA_CA_CERTS: trusted });
      expect(await attemptAt(server, `https://localhost:${tls.port}/`)).toEqual(attempt);
      expect(tls.requests).toBe(requests);
      await tls.stop();
    },
  );
});

class TlsReceiver {
  readonly certificate: Certificate;
  requests = 0;
  readonly #server: Server;

  private constructor(certificate: Certificate, options: SecureContextOptions) {
    this.certificate = certificate;
    this.#server = createServer({ ...certificate, ...options }, (_request, response) => {
      this.requests += 1;
      response.end();
    });
  }

  static async start(certificate: Certificate, options: SecureContextOptions = {}): Promise<TlsReceiver> {
    const receiver = new TlsReceiver(certificate, options);
    receiver.#server.listen(0, '127.0.0.1');
    await once(receiver.#server, 'listening');
    return receiver;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
