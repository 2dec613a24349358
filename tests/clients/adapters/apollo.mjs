// Apollo Client: subscriptions by GraphQLWsLink, or by multipart responses over HTTP.
import { ApolloClient, ApolloLink, InMemoryCache, gql } from "@apollo/client";
import { CombinedGraphQLErrors } from "@apollo/client/errors";
import { HttpLink } from "@apollo/client/link/http";
import { RetryLink } from "@apollo/client/link/retry";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import UploadHttpLink from "apollo-upload-client/UploadHttpLink.mjs";
import { socketsTo } from "./sockets.mjs";

function adapter(url, token, subscriptions, close) {
  const headers = { authorization: `Bearer ${token}`, "graphql-require-preflight": "1" };
  const client = new ApolloClient({
    link: ApolloLink.split(
      ({ operationType }) => operationType === "subscription",
      subscriptions,
      new UploadHttpLink({ uri: url, headers }),
    ),
    cache: new InMemoryCache(),
    defaultOptions: { query: { fetchPolicy: "no-cache" }, mutate: { fetchPolicy: "no-cache" } },
  });
  const request = async (text, variables) => {
    const document = gql(text);
    const isQuery = document.definitions[0].operation === "query";
    try {
      return isQuery
        ? await client.query({ query: document, variables })
        : await client.mutate({ mutation: document, variables });
    } catch (error) {
      return { errors: CombinedGraphQLErrors.is(error) ? error.errors : [error] };
    }
  };
  return {
    request,
    upload: request,
    subscribe(text, variables, sink) {
      const results = client.subscribe({ query: gql(text), variables, fetchPolicy: "no-cache" });
      const next = (result) => (result.error ? sink.error(result.error) : sink.next(result));
      const subscription = results.subscribe({ ...sink, next });
      return () => subscription.unsubscribe();
    },
    async close() {
      client.stop();
      await close();
    },
  };
}

export function connectBySocket(url, token) {
  const sockets = socketsTo(url, token);
  return adapter(url, token, new GraphQLWsLink(sockets), () => sockets.dispose());
}

export function connectByMultipart(url, token) {
  const headers = { authorization: `Bearer ${token}` };
  const link = ApolloLink.from([
    new RetryLink({ attempts: { max: Infinity }, delay: { initial: 100, max: 100, jitter: false } }),
    new HttpLink({ uri: url, headers }),
  ]);
  return adapter(url, token, link, () => {});
}
