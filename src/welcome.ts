import type { App } from './app.ts';

/** What the program says to the person who started it. */
export function welcome(app: Pick<App, 'urls' | 'isEmpty' | 'isOpen' | 'servesApi'>): string {
  const { urls, isEmpty, isOpen, servesApi } = app;
  if (!servesApi) {
    return `Data Pusher makes deliveries.\n  Health   ${urls.health}/ready\n`;
  }
  const access = isOpen
    ? '  Access   all programs on this machine are the administrator; ADMIN_TOKEN would change that\n'
    : '';
  const places = `Data Pusher is ready.\n  GraphQL  ${urls.graphql}\n  Ingest   ${urls.ingest}\n${access}`;
  return isEmpty ? `${places}\n${firstSteps(urls, isOpen)}` : places;
}

/** Each command leaves what the next one needs in a shell variable, so that all can be pasted as they are. */
function firstSteps({ graphql, ingest, health }: App['urls'], isOpen: boolean): string {
  const administrator = isOpen ? '' : ` -H "Authorization: Bearer $ADMIN_TOKEN"`;
  const json = `-H 'Content-Type: application/json'`;
  const create = `{"query":"mutation { createAccount(input: { email: \\"me@example.com\\", name: \\"Me\\" }) { id appSecretToken } }"}`;
  const add = `{"query":"mutation Add($id: ID!, $url: String!) { createDestination(input: { accountId: $id, url: $url, httpMethod: GET, headers: { Authorization: \\"secret\\" } }) { id url } }", "variables": {"id": "'$ID'", "url": "${health}/live"}}`;
  return [
    'Nothing is stored yet. Three commands to begin with (the destination is a page of this server, which surely answers):',
    '',
    `  ACCOUNT=$(curl -s ${graphql} ${json}${administrator} -d '${create}'); echo "$ACCOUNT"`,
    '',
    `  ID=$(echo "$ACCOUNT" | sed 's/.*"id":"\\([^"]*\\)".*/\\1/'); curl -s ${graphql} ${json}${administrator} -d '${add}'`,
    '',
    `  TOKEN=$(echo "$ACCOUNT" | sed 's/.*Token":"\\([^"]*\\)".*/\\1/'); curl -s ${ingest} ${json} -H "CL-X-TOKEN: $TOKEN" -d '{"hello":"world"}'`,
    '',
    '',
  ].join('\n');
}
