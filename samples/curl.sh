#!/bin/sh
# Every call of the API once, with curl, against a server that is running:
#
#   sh samples/curl.sh
#   ADMIN_TOKEN=... sh samples/curl.sh
#   BASE_URL=http://127.0.0.1:5000 DESTINATION_URL=http://127.0.0.1:4100/hook sh samples/curl.sh
#
# It cleans up after itself, and ends with status 1 at the first call that is refused.
set -eu

BASE_URL=${BASE_URL:-http://127.0.0.1:4000}
# A server without ADMIN_TOKEN does not look at it.
ADMINISTRATOR="Authorization: Bearer ${ADMIN_TOKEN:-none}"
# A page of the server itself, which surely answers; `npm run receiver` shows more.
DESTINATION_URL=${DESTINATION_URL:-$BASE_URL/health/live}

# Makes a GraphQL call, shows the answer, and leaves it in $ANSWER.
graphql() {
  echo "--- $1"
  ANSWER=$(curl -sS "$BASE_URL/graphql" -H 'Content-Type: application/json' -H "$ADMINISTRATOR" -d "$2")
  echo "$ANSWER"
  case $ANSWER in
    *'"errors":'*) refused ;;
    *'"data":'*) ;;
    *) refused ;;
  esac
}

refused() {
  echo 'This call was refused.' >&2
  exit 1
}

# The value of a text field in $ANSWER.
field() {
  echo "$ANSWER" | sed 's/.*"'"$1"'":"\([^"]*\)".*/\1/'
}

graphql createAccount '{
  "query": "mutation ($input: CreateAccountInput!) { createAccount(input: $input) { id appSecretToken email name website createdAt } }",
  "variables": { "input": { "email": "curl-'$$'@example.com", "name": "Curl", "website": "hello.com" } }
}'
ACCOUNT_ID=$(field id)

graphql updateAccount '{
  "query": "mutation ($id: ID!, $input: UpdateAccountInput!) { updateAccount(id: $id, input: $input) { id name website updatedAt } }",
  "variables": { "id": "'"$ACCOUNT_ID"'", "input": { "name": "Curl and Sons", "website": null } }
}'

graphql rotateAppSecretToken '{
  "query": "mutation ($accountId: ID!) { rotateAppSecretToken(accountId: $accountId) { id appSecretToken } }",
  "variables": { "accountId": "'"$ACCOUNT_ID"'" }
}'
TOKEN=$(field appSecretToken)

graphql createDestination '{
  "query": "mutation ($input: CreateDestinationInput!) { createDestination(input: $input) { id url httpMethod headers eventTypes filter transform } }",
  "variables": {
    "input": {
      "accountId": "'"$ACCOUNT_ID"'",
      "url": "'"$DESTINATION_URL"'",
      "httpMethod": "POST",
      "headers": { "Authorization": "Bearer secret" },
      "eventTypes": ["order.*"],
      "filter": { "total": { "$gte": 100 } },
      "transform": "{ \"paid\": total, \"by\": customer.name }"
    }
  }
}'
DESTINATION_ID=$(field id)

graphql previewDelivery '{
  "query": "query ($destinationId: ID!, $payloadText: String!, $type: String) { previewDelivery(destinationId: $destinationId, payloadText: $payloadText, type: $type) { outcome path url headers body curl } }",
  "variables": { "destinationId": "'"$DESTINATION_ID"'", "payloadText": "{ \"total\": 99 }", "type": "order.paid" }
}'

graphql updateDestination '{
  "query": "mutation ($id: ID!, $input: UpdateDestinationInput!) { updateDestination(id: $id, input: $input) { id url httpMethod headers policy { rateLimit { count per } orderBy } updatedAt } }",
  "variables": {
    "id": "'"$DESTINATION_ID"'",
    "input": {
      "httpMethod": "GET",
      "headers": { "Authorization": "Bearer secret", "X-Tag": ["one", "two"] },
      "transform": null,
      "policy": { "rateLimit": { "count": 5, "per": "PT1S" }, "orderBy": "customer.id" }
    }
  }
}'

graphql account '{
  "query": "query ($id: ID!) { account(id: $id) { id email name appSecretToken destinations { id url httpMethod } events(first: 5) { totalCount } } }",
  "variables": { "id": "'"$ACCOUNT_ID"'" }
}'

graphql accounts '{
  "query": "query ($first: Int, $after: String) { accounts(first: $first, after: $after) { totalCount nodes { id name } pageInfo { hasNextPage endCursor } } }",
  "variables": { "first": 10 }
}'

graphql destination '{
  "query": "query ($id: ID!) { destination(id: $id) { id url httpMethod headers deliveries(first: 10) { totalCount } } }",
  "variables": { "id": "'"$DESTINATION_ID"'" }
}'

graphql destinations '{
  "query": "query ($accountId: ID!) { destinations(accountId: $accountId) { id url httpMethod headers } }",
  "variables": { "accountId": "'"$ACCOUNT_ID"'" }
}'

echo '--- an event'
ANSWER=$(curl -sS "$BASE_URL/server/incoming_data" \
  -H 'Content-Type: application/json' \
  -H "CL-X-TOKEN: $TOKEN" \
  -H "Idempotency-Key: curl-$$-order-4711" \
  -H 'X-Event-Type: order.paid' \
  -d '{ "order": 4711, "total": 129.90, "paid": true }')
echo "$ANSWER"
case $ANSWER in
  *'"success":true'*) EVENT_ID=$(field eventId) ;;
  *) refused ;;
esac

# The event is delivered within milliseconds; a slow destination gets a few seconds.
tries=0
DELIVERY_ID=
while [ -z "$DELIVERY_ID" ]; do
  graphql event '{
    "query": "query ($id: ID!) { event(id: $id) { receivedAt type payload payloadText routes { destinationId outcome path } deliveries { id status } } }",
    "variables": { "id": "'"$EVENT_ID"'" }
  }'
  case $ANSWER in
    *'"status":"PENDING"'*)
      tries=$((tries + 1))
      [ "$tries" -le 20 ] || { echo 'The event was not delivered in time.' >&2; exit 1; }
      sleep 1
      ;;
    *) DELIVERY_ID=$(field id) ;;
  esac
done

echo '--- several events'
ANSWER=$(curl -sS "$BASE_URL/server/incoming_data/batch" \
  -H 'Content-Type: application/json' \
  -H "CL-X-TOKEN: $TOKEN" \
  -H "Idempotency-Key: curl-$$-orders" \
  -H 'X-Event-Type: order.paid' \
  -d '[{ "order": 4712, "total": 12.50, "paid": true }, { "order": 4713, "total": 20, "paid": true }]')
echo "$ANSWER"
case $ANSWER in
  *'"success":true'*) ;;
  *) refused ;;
esac

graphql delivery '{
  "query": "query ($id: ID!) { delivery(id: $id) { id status attemptCount completedAt attempts { number startedAt durationMs statusCode error message responseBody } } }",
  "variables": { "id": "'"$DELIVERY_ID"'" }
}'

graphql retryDelivery '{
  "query": "mutation ($id: ID!) { retryDelivery(id: $id) { id status attemptCount nextAttemptAt } }",
  "variables": { "id": "'"$DELIVERY_ID"'" }
}'

graphql rotateSigningSecret '{
  "query": "mutation ($destinationId: ID!, $overlap: Duration) { rotateSigningSecret(destinationId: $destinationId, overlap: $overlap) { id signingSecret } }",
  "variables": { "destinationId": "'"$DESTINATION_ID"'", "overlap": "PT24H" }
}'

graphql deleteDestination '{
  "query": "mutation ($id: ID!) { deleteDestination(id: $id) }",
  "variables": { "id": "'"$DESTINATION_ID"'" }
}'

graphql deleteAccount '{
  "query": "mutation ($id: ID!) { deleteAccount(id: $id) }",
  "variables": { "id": "'"$ACCOUNT_ID"'" }
}'

echo 'Every call was answered.'
