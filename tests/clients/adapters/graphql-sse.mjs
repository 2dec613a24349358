import { createClient } from "graphql-sse";
import { firstOf } from "./sockets.mjs";

export const streamsFrom = (url, token) =>
  createClient({
    url,
    headers: { authorization: `Bearer ${token}` },
    retryAttempts: Infinity,
    retry: () => new Promise((resolve) => setTimeout(resolve, 100)),
  });

export function connect(url, token) {
  const streams = streamsFrom(url, token);
  return {
    request: (query, variables) => firstOf(streams.subscribe, query, variables),
    subscribe: (query, variables, sink) => streams.subscribe({ query, variables }, sink),
    close: () => streams.dispose(),
  };
}
