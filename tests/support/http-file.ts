/** One request of a `.http` file, as the editors' clients read it; `{{variables}}` are left in. */
export interface HttpFileRequest {
  readonly title: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface HttpFile {
  readonly variables: ReadonlyMap<string, string>;
  readonly requests: readonly HttpFileRequest[];
}

export function parseHttpFile(text: string): HttpFile {
  const [head = '', ...blocks] = text.split(/^### /mu);
  return {
    variables: new Map([...head.matchAll(/^@(\w+) = (.*)$/gmu)].map(([, name = '', value = '']) => [name, value])),
    requests: blocks.map(parseRequest),
  };
}

function parseRequest(block: string): HttpFileRequest {
  const [top = '', ...body] = block.split('\n\n');
  const [title = '', requestLine = '', ...headerLines] = top.split('\n');
  const [method = '', url = ''] = requestLine.split(' ');
  const headers = Object.fromEntries(headerLines.map((line) => line.split(': ')));
  return { title, method, url, headers, body: body.join('\n\n') };
}

export function fillIn(text: string, values: ReadonlyMap<string, string>): string {
  return text.replaceAll(/\{\{(\w+)\}\}/gu, (whole, name: string) => values.get(name) ?? whole);
}
