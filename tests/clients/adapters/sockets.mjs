// A graphql-ws client as its readme makes one; it comes back at once, so that tests are short.
import { createClient } from "graphql-ws";
import { WebSocket } from "ws";

export const socketsTo = (url, token) =>
  createClient({
    url: url.replace(/^http/, "ws"),
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${token}` },
    retryAttempts: Infinity,
    shouldRetry: () => true, // where nobody listens, too
    retryWait: () => new Promise((resolve) => setTimeout(resolve, 100)),
  });

// One answer of a client whose queries and mutations are streams, too.
export const firstOf = (subscribe, query, variables) =>
  new Promise((resolve) => {
    const error = (errors) => resolve({ errors: [errors].flat() });
    subscribe({ query, variables }, { next: resolve, error, complete: () => {} });
  });
