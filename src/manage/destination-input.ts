import type { AddressRule } from '../core/address-rule.ts';
import { parsePolicy, type PolicyPatch } from '../core/delivery-policy.ts';
import { parseEventTypes } from '../core/event-type.ts';
import { parseFilter } from '../core/filter-input.ts';
import {
  type HeaderEntry,
  type HttpMethod,
  parseDescription,
  parseDestinationName,
  parseDestinationUrl,
  parseHeaders,
} from '../core/inputs.ts';
import type { DestinationEntity } from '../storage/entities.ts';
import { type PolicyColumns, policyColumns } from '../storage/policy-columns.ts';

/** What people call it, and what it wants. `null` clears a field. */
interface OptionalFields {
  readonly name?: string | null;
  readonly description?: string | null;
  readonly eventTypes?: readonly string[] | null;
  readonly filter?: Readonly<Record<string, unknown>> | null;
  readonly policy?: PolicyPatch | undefined;
  /** Checked by `DestinationCommands`, because only JSONata itself can tell whether it is an expression. */
  readonly transform?: string | null;
}

export interface NewDestination extends OptionalFields {
  readonly accountId: string;
  readonly url: string;
  readonly httpMethod: HttpMethod;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** Absent keys stay unchanged. */
export interface DestinationPatch extends OptionalFields {
  readonly url?: string;
  readonly httpMethod?: HttpMethod;
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly enabled?: boolean;
}

/** The columns of each kind that are to change. Those that are absent stay. */
export interface ParsedPatch {
  /** Shown, and otherwise without an effect. */
  readonly labels: Partial<Pick<DestinationEntity, 'name' | 'description'>>;
  /** Which events it gets, and in which order. Events are stored with these. */
  readonly routes: Partial<Pick<DestinationEntity, 'eventTypes' | 'filter' | 'orderBy'>>;
  /** How its deliveries are made. */
  readonly policy: Partial<Omit<PolicyColumns, 'orderBy'>>;
  /** How its requests look. */
  readonly requests: Partial<Pick<DestinationEntity, 'url' | 'httpMethod' | 'transform'>>;
  readonly headers: readonly HeaderEntry[] | undefined;
}

/** @throws DomainError BAD_USER_INPUT */
export function parseDestination(patch: DestinationPatch, addressRule: AddressRule | undefined): ParsedPatch {
  const { url, httpMethod, headers, name, description, eventTypes, filter, transform } = patch;
  const { orderBy, ...policy } = policyColumns(parsePolicy(patch.policy ?? {}));
  return {
    policy,
    requests: {
      ...(url !== undefined && { url: parseDestinationUrl(url, addressRule) }),
      ...(httpMethod !== undefined && { httpMethod }),
      ...(transform !== undefined && { transform }),
    },
    headers: headers && parseHeaders(headers),
    labels: {
      ...(name !== undefined && { name: name === null ? null : parseDestinationName(name) }),
      ...(description !== undefined && { description: description === null ? null : parseDescription(description) }),
    },
    routes: {
      ...(eventTypes !== undefined && { eventTypes: eventTypes === null ? null : eventTypesText(eventTypes) }),
      ...(filter !== undefined && { filter: filter === null ? null : filterText(filter) }),
      ...(orderBy !== undefined && { orderBy }),
    },
  };
}

function eventTypesText(eventTypes: readonly string[]): string {
  parseEventTypes(eventTypes);
  return JSON.stringify(eventTypes);
}

/** As it was given, in the order of its keys. */
function filterText(filter: Readonly<Record<string, unknown>>): string {
  parseFilter(filter);
  return JSON.stringify(filter);
}
