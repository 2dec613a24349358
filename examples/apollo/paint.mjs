// Apollo Client: start a grid, follow it, and read it back from the normalised cache.
// MINTARI_TOKEN=$(mintari token) npm start -- "A fox in the snow"
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { createClient } from "graphql-ws";
import { WebSocket } from "ws";

const url = `${process.env.MINTARI_URL ?? "http://127.0.0.1:8000"}/graphql`;
const authorization = `Bearer ${process.env.MINTARI_TOKEN}`;

const FRAME = gql`
  fragment Frame on Job {
    id
    version
    state
    progress
    image {
      url
    }
    error {
      message
    }
  }
`;
const START = gql`
  mutation Start($input: StartGenerationInput!) {
    startGeneration(input: $input) {
      ... on GenerationStarted {
        generation {
          id
          jobs {
            ...Frame
          }
        }
      }
      ... on UserError {
        code
        message
      }
    }
  }
  ${FRAME}
`;
const FOLLOW = gql`
  subscription Follow($ids: [ID!]!) {
    jobProgress(jobIds: $ids) {
      ...Frame
    }
  }
  ${FRAME}
`;

// A job arrives by several roads: what is older than the cache's copy must not overwrite it.
const newerOnly = (existing, incoming, { mergeObjects, readField }) =>
  existing && readField("version", existing) > readField("version", incoming)
    ? existing
    : mergeObjects(existing, incoming);

const sockets = createClient({
  url: url.replace(/^http/, "ws"),
  webSocketImpl: globalThis.WebSocket ?? WebSocket, // Node has its own since version 22
  connectionParams: { authorization },
  retryAttempts: Infinity, // every reconnect starts with a snapshot: nothing is missed
  shouldRetry: () => true,
});
const client = new ApolloClient({
  link: ApolloLink.split(
    ({ operationType }) => operationType === "subscription",
    new GraphQLWsLink(sockets),
    new HttpLink({ uri: url, headers: { authorization } }),
  ),
  cache: new InMemoryCache({
    possibleTypes: {
      UserError: ["InvalidInput", "PromptRejected", "UploadNotFound", "IdempotencyConflict"],
    },
    typePolicies: { Job: { merge: newerOnly } },
  }),
});

const input = { prompt: process.argv[2] ?? "A fox in the snow", size: "SQUARE_512" };
const { data } = await client.mutate({ mutation: START, variables: { input } });
const { generation, message } = data.startGeneration;
if (!generation) throw new Error(message);

const ids = generation.jobs.map((job) => job.id);
await new Promise((resolve, reject) => {
  client.subscribe({ query: FOLLOW, variables: { ids } }).subscribe({
    // No code puts the job into the grid: it has the id of the one that is there.
    next: ({ data, error }) =>
      error ? reject(error) : console.log(data.jobProgress.state, data.jobProgress.progress),
    error: reject,
    complete: resolve,
  });
});
for (const id of ids) {
  const job = client.readFragment({ id: `Job:${id}`, fragment: FRAME });
  console.log("cache:", job.state, job.image?.url ?? job.error?.message);
}
await sockets.dispose();
client.stop();
