import type { App } from '../../src/app.ts';
import { ApiClient } from './api-client.ts';

export const ADMIN_TOKEN = 'the-administrator-of-the-tests';

/** Somebody who calls the API of an application, with the headers that say who it is. */
export class Caller extends ApiClient {
  override readonly urls: App['urls'];
  override readonly headers: Readonly<Record<string, string>>;

  constructor({ urls }: { readonly urls: App['urls'] }, headers: Readonly<Record<string, string>> = {}) {
    super();
    this.urls = urls;
    this.headers = headers;
  }
}

export function administratorOf(app: { readonly urls: App['urls'] }): Caller {
  return new Caller(app, { Authorization: `Bearer ${ADMIN_TOKEN}` });
}

export function accountWith(token: string, app: { readonly urls: App['urls'] }): Caller {
  return new Caller(app, { 'CL-X-TOKEN': token });
}
