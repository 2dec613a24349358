// All clients against one API, a step at a time. Arguments: its URL, a photo, tokens by client.
// A line of stdin is a step: {"step": "grids", "prompt": "..."}; a line of stdout is what happened.
import { createInterface } from "node:readline";
import * as apollo from "./adapters/apollo.mjs";
import * as graphqlSse from "./adapters/graphql-sse.mjs";
import * as graphqlWs from "./adapters/graphql-ws.mjs";
import * as relay from "./adapters/relay.mjs";
import * as urql from "./adapters/urql.mjs";
import { CASES } from "./cases.mjs";

const CONNECT = {
  "graphql-ws": graphqlWs.connect,
  "graphql-sse": graphqlSse.connect,
  "apollo-ws": apollo.connectBySocket,
  "apollo-multipart": apollo.connectByMultipart,
  "urql-ws": urql.connectBySocket,
  "urql-sse": urql.connectByStreams,
  relay: relay.connect,
};
const [url, photo, tokens] = process.argv.slice(2);
const clients = Object.entries(JSON.parse(tokens)).map(([name, token]) => ({
  name,
  client: CONNECT[name](url, token),
}));

for await (const line of createInterface({ input: process.stdin })) {
  const { step, prompt } = JSON.parse(line);
  for (const each of clients) {
    const tell = (what, facts) =>
      console.log(JSON.stringify({ client: each.name, step, what, ...facts }));
    CASES[step](each.client, tell, { prompt: `${prompt} ${each.name}`, photo }, each.ids)
      .then((ids) => (each.ids = ids))
      .catch((error) => tell("failed", { message: String(error?.stack ?? error) }));
  }
}
for (const { client } of clients) await client.close();
