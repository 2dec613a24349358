// Relay's network layer, with the two functions that its guides have everybody write.
import { Network, Observable } from "relay-runtime";
import { socketsTo } from "./sockets.mjs";

export function connect(url, token) {
  const sockets = socketsTo(url, token);
  const headers = { authorization: `Bearer ${token}`, "graphql-require-preflight": "1" };

  async function fetchQuery({ text: query }, variables, _cacheConfig, uploadables) {
    const operations = JSON.stringify({ query, variables });
    if (!uploadables) {
      const json = { ...headers, "content-type": "application/json" };
      return (await fetch(url, { method: "POST", headers: json, body: operations })).json();
    }
    const body = new FormData();
    body.append("operations", operations);
    const names = Object.keys(uploadables);
    const map = Object.fromEntries(names.map((name) => [name, [`variables.${name}`]]));
    body.append("map", JSON.stringify(map));
    for (const name of names) body.append(name, uploadables[name]);
    return (await fetch(url, { method: "POST", headers, body })).json();
  }

  const network = Network.create(fetchQuery, ({ text: query }, variables) =>
    Observable.create((sink) => sockets.subscribe({ query, variables }, sink)),
  );
  const execute = (text, variables, uploadables) => {
    const [, operationKind, name] = /(\w+) (\w+)/.exec(text);
    const params = { id: null, cacheID: name, name, operationKind, text, metadata: {} };
    return network.execute(params, variables, { force: true }, uploadables);
  };
  return {
    request: (text, variables) => execute(text, variables).toPromise(),
    upload: (text, { file }) => execute(text, { file: null }, { file }).toPromise(),
    subscribe(text, variables, sink) {
      const subscription = execute(text, variables).subscribe(sink);
      return () => subscription.unsubscribe();
    },
    close: () => sockets.dispose(),
  };
}
