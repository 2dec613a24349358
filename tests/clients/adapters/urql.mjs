// urql: subscriptionExchange over graphql-ws or graphql-sse.
import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { onEnd, pipe, subscribe } from "wonka";
import { streamsFrom } from "./graphql-sse.mjs";
import { socketsTo } from "./sockets.mjs";

function adapter(url, token, library) {
  const headers = { authorization: `Bearer ${token}`, "graphql-require-preflight": "1" };
  const forwardSubscription = (operation) => ({
    subscribe: (sink) => ({ unsubscribe: library.subscribe(operation, sink) }),
  });
  const client = new Client({
    url,
    exchanges: [subscriptionExchange({ forwardSubscription }), fetchExchange],
    fetchOptions: { headers },
  });
  const answer = ({ data, error }) => ({
    data,
    errors: error && (error.networkError ? [error.networkError] : error.graphQLErrors),
  });
  const request = async (text, variables) =>
    answer(
      await (text.trim().startsWith("query")
        ? client.query(text, variables)
        : client.mutation(text, variables)),
    );
  return {
    request,
    upload: request,
    subscribe(text, variables, sink) {
      const { unsubscribe } = pipe(
        client.subscription(text, variables),
        onEnd(sink.complete),
        subscribe(({ data, error }) => (error ? sink.error(error) : sink.next({ data }))),
      );
      return unsubscribe;
    },
    close: () => library.dispose(),
  };
}

export const connectBySocket = (url, token) => adapter(url, token, socketsTo(url, token));
export const connectByStreams = (url, token) => adapter(url, token, streamsFrom(url, token));
