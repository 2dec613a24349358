import {
  Client,
  fetchExchange,
  subscriptionExchange,
  type Exchange,
  type ExecutionResult,
} from "@urql/core";
import { authExchange } from "@urql/exchange-auth";
import { persistedExchange } from "@urql/exchange-persisted";
import { retryExchange } from "@urql/exchange-retry";
import { map, pipe, tap } from "wonka";
import { backoffMs } from "./backoff";
import { cache } from "./cache";
import { Freshness } from "./freshness";
import { codeOf } from "./problems";
import { notReached, reached } from "./reachability";
import { currentToken, distrust } from "./session";
import { openSocket } from "./socket";

/** Between the cache and the network: nothing outdated gets into the cache. */
const freshness = new Freshness();
const fresh: Exchange = ({ forward }) => (operations) =>
  pipe(
    forward(operations),
    map((result) => (result.data ? { ...result, data: freshness.refresh(result.data) } : result)),
  );

/** Tells the page's banner whether the API can be reached. */
const reach: Exchange = ({ forward }) => (operations) =>
  pipe(
    forward(operations),
    tap((result) => {
      if (result.operation.kind === "subscription") return; // the socket tells by itself
      if (result.error?.networkError) notReached();
      else reached();
    }),
  );

/** Questions are asked again until they are answered; only a person repeats a mutation. */
const retry = retryExchange({
  maxNumberAttempts: Number.POSITIVE_INFINITY,
  initialDelayMs: backoffMs(0),
  maxDelayMs: 8_000,
  randomDelay: true,
  retryIf: (error, operation) =>
    operation.kind === "query" && (!!error.networkError || codeOf(error) === "OVERLOADED"),
});

const auth = authExchange(async (utils) => {
  let token = await currentToken().catch(() => "");
  return {
    addAuthToOperation: (operation) =>
      utils.appendHeaders(operation, { Authorization: `Bearer ${token}` }),
    willAuthError: () => token === "",
    didAuthError: (error) => codeOf(error) === "UNAUTHENTICATED",
    async refreshAuth() {
      distrust(token);
      token = await currentToken().catch(() => "");
    },
  };
});

/**
 * Operations go by the id of their document, which the API knows from the page's build. Where it
 * does not (yet, or not any more), the text follows.
 */
const persisted = persistedExchange({
  enableForMutation: true,
  enableForSubscriptions: true,
  preferGetForPersistedQueries: false,
});

/** Queries and mutations over HTTP, subscriptions over the one websocket. */
export function openClient(): Client {
  const socket = openSocket(`${location.origin.replace(/^http/, "ws")}/graphql`);
  const live = subscriptionExchange({
    forwardSubscription: ({ query, variables, extensions }) => ({
      subscribe: (sink) => ({
        unsubscribe: socket.subscribe(
          { query: query ?? "", variables: variables ?? {}, extensions },
          { ...sink, next: (result) => sink.next(result as ExecutionResult) },
        ),
      }),
    }),
  });
  return new Client({
    url: "/graphql",
    preferGetMethod: false,
    exchanges: [cache, fresh, retry, reach, auth, persisted, fetchExchange, live],
  });
}
