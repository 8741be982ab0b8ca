# The services of compose.yaml. Data stays in its volumes until `docker compose down --volumes`.
COMPOSE ?= docker compose
DOCKER ?= docker

.PHONY: build up down restart logs

build:
	$(COMPOSE) build --pull

# Also takes over a new image or a changed configuration.
up: .env
	$(COMPOSE) up --detach --build --wait

down:
	$(COMPOSE) down

# One process after the other, so that there is always one to take requests and one to make deliveries.
restart:
	@for container in $$($(COMPOSE) ps --quiet api worker); do \
	  $(DOCKER) restart $$container || exit 1; \
	  seconds=0; \
	  until [ "$$($(DOCKER) inspect --format '{{.State.Health.Status}}' $$container)" = healthy ]; do \
	    seconds=$$((seconds + 1)); \
	    if [ $$seconds -gt 60 ]; then echo "$$container is not healthy; see make logs." >&2; exit 1; fi; \
	    sleep 1; \
	  done; \
	done

logs:
	$(COMPOSE) logs --follow --tail 100

.env:
	@echo 'Copy .env.example to .env and choose the values in it.' >&2; exit 1
