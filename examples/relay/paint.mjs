// Relay: start a grid, follow it, and read it back from the store. No React, to stay short.
// MINTARI_TOKEN=$(mintari token) npm start -- "A fox in the snow"
import {
  Environment,
  Network,
  Observable,
  RecordSource,
  Store,
  commitMutation,
  requestSubscription,
} from "relay-runtime";
import { createClient } from "graphql-ws";
import { WebSocket } from "ws";
import start from "./__generated__/queriesStartMutation.graphql.js";
import follow from "./__generated__/queriesFollowSubscription.graphql.js";

const url = `${process.env.MINTARI_URL ?? "http://127.0.0.1:8000"}/graphql`;
const authorization = `Bearer ${process.env.MINTARI_TOKEN}`;

async function fetchQuery({ text: query }, variables) {
  const headers = { authorization, "content-type": "application/json" };
  const body = JSON.stringify({ query, variables });
  return (await fetch(url, { method: "POST", headers, body })).json();
}

const sockets = createClient({
  url: url.replace(/^http/, "ws"),
  webSocketImpl: globalThis.WebSocket ?? WebSocket, // Node has its own since version 22
  connectionParams: { authorization },
  retryAttempts: Infinity, // every reconnect starts with a snapshot: nothing is missed
  shouldRetry: () => true,
});

// Relay's store takes what it gets: what is older than what was seen is held back here.
const newest = new Map();
const isNews = ({ data }) => {
  const job = data?.jobProgress;
  if (!job) return true;
  if ((newest.get(job.id) ?? 0) > job.version) return false;
  newest.set(job.id, job.version);
  return true;
};
const subscribe = ({ text: query }, variables) =>
  Observable.create((sink) =>
    sockets.subscribe(
      { query, variables },
      { ...sink, next: (result) => isNews(result) && sink.next(result) },
    ),
  );

const environment = new Environment({
  network: Network.create(fetchQuery, subscribe),
  store: new Store(new RecordSource()),
});

const input = { prompt: process.argv[2] ?? "A fox in the snow", size: "SQUARE_512" };
const { startGeneration: started } = await new Promise((resolve, reject) => {
  const done = { onCompleted: resolve, onError: reject };
  commitMutation(environment, { mutation: start, variables: { input }, ...done });
});
if (started.__typename !== "GenerationStarted") throw new Error(started.message);

const ids = started.generation.jobs.map((job) => job.id);
await new Promise((resolve, reject) => {
  requestSubscription(environment, {
    subscription: follow,
    variables: { ids },
    onNext: ({ jobProgress: job }) => console.log(job.state, job.progress),
    onCompleted: resolve,
    onError: reject,
  });
});
const store = environment.getStore().getSource();
for (const id of ids) {
  const { state, image } = store.get(id);
  console.log("cache:", state, image ? store.get(image.__ref).url : "no picture");
}
await sockets.dispose();
