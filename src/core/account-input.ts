import { DomainError } from './errors.ts';

const NAME_CHARACTERS_MAX = 200;
const WEBSITE_CHARACTERS_MAX = 2_000;

/** A bare host name (RFC 1123), at least two labels, with an optional port and path: `hello.com`, `www.hello.com/shop`. */
const BARE_HOST = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}(?::\d{1,5})?(?:[/?#]\S*)?$/iu;

export function parseName(text: string): string {
  const name = text.trim();
  if (name === '' || Array.from(name).length > NAME_CHARACTERS_MAX) {
    throw DomainError.badInput('name', `The name must not be blank and has at most ${NAME_CHARACTERS_MAX} characters.`);
  }
  if (!name.isWellFormed() || name.includes('\0')) {
    throw DomainError.badInput('name', 'The name must be valid Unicode text without the null character.');
  }
  return name;
}

/** Kept exactly as given: it is the account's own description of itself, nothing is ever sent there. */
export function parseWebsite(text: string): string {
  const isText = text.length <= WEBSITE_CHARACTERS_MAX && text.isWellFormed() && !/\p{Cc}/u.test(text);
  if (!isText || !(BARE_HOST.test(text) || isWebUrl(text))) {
    throw DomainError.badInput(
      'website',
      `The website must be an http or https URL, or a host name such as "hello.com", of at most ${WEBSITE_CHARACTERS_MAX} characters.`,
    );
  }
  return text;
}

/** Two addresses that differ in letter case only are the same account's. */
export function emailKey(email: string): string {
  return email.toLowerCase();
}

function isWebUrl(text: string): boolean {
  return /^https?:\/\/\S+$/iu.test(text) && URL.canParse(text);
}
