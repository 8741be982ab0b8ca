const SECOND = 'GET /second HTTP/1.1\r\nHost: evil\r\n\r\n';

/** What would end a line, a header or a request if it were sent as it is. */
export const SMUGGLING_TRICKS: readonly string[] = [
  ['\r\n', '\n', '\r', '\0', '\v', '\f', '\u0085', '\u2028', '\t', ' ', '\r\n ', '\n\t', 'Injected: 1'],
  ['%0d%0a', '%00', '%', '%zz', '%e5%98%8a%e5%98%8d', '嘊嘍', 'čĊ', '\u{1f600}', '\ud800', 'ＨＴＴＰ'],
  [`\r\n\r\n${SECOND}`, `\n\n${SECOND}`, `%0d%0a%0d%0a${encodeURI(SECOND)}`, ' HTTP/1.1\r\nX: ', ' HTTP/1.1', '\\'],
  ['?', '#', '@', ':', '//', '/../..', '/%2e%2e/', ';', '"', '<>', '{}', '|', '^', '`', '[]', "'"],
].flat();
