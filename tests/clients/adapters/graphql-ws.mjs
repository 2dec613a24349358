import { firstOf, socketsTo } from "./sockets.mjs";

export function connect(url, token) {
  const sockets = socketsTo(url, token);
  return {
    request: (query, variables) => firstOf(sockets.subscribe, query, variables),
    subscribe: (query, variables, sink) => sockets.subscribe({ query, variables }, sink),
    close: () => sockets.dispose(),
  };
}
