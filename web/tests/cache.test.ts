import { readFileSync } from "node:fs";
import { buildSchema, isInterfaceType } from "graphql";
import { Client, type Exchange, type Operation } from "@urql/core";
import { describe, expect, it } from "vitest";
import { filter, fromValue, map, mergeMap, pipe } from "wonka";
import { cache, PAGE_SIZE, possibleTypes } from "../src/api/cache";
import { DeleteGridDocument, FollowDocument, SketchbookDocument, StartDocument } from "../src/graphql/generated/graphql";

const job = (id: string, version: number) => ({
  __typename: "Job", id, variant: 0, version, state: "RUNNING", stage: "GENERATING",
  progress: version, progressKind: "MEASURED", seed: 1, seedLocked: false, provider: "local",
  model: "m", fallOver: null, retryCount: 0, generationTimeMs: null, queuePosition: null, createdAt: "",
  startedAt: null, finishedAt: null, eta: null, preview: null, image: null, error: null,
});
const grid = (id: string, jobs: object[]) => ({
  __typename: "Generation", id, prompt: id, promptDelta: null, style: "ghibli",
  size: "SQUARE_512", variantCount: 1, seedLocked: false, provider: "local", createdAt: "",
  upload: null, jobs,
});

/** Answers every operation as the API would. */
const answers: Record<string, object> = {
  Sketchbook: {
    __typename: "Query",
    generations: {
      __typename: "GenerationConnection",
      edges: [{ __typename: "GenerationEdge", cursor: "c", node: grid("g1", [job("j1", 1), job("j2", 1)]) }],
      pageInfo: { __typename: "PageInfo", hasNextPage: false, endCursor: "c" },
    },
  },
  Follow: { __typename: "Subscription", jobProgress: job("j2", 7) },
  Start: {
    __typename: "Mutation",
    startGeneration: {
      __typename: "GenerationStarted", deduplicated: false, replayed: false,
      generation: grid("g2", [job("j3", 1)]),
    },
  },
  DeleteGrid: { __typename: "Mutation", deleteGeneration: { __typename: "GenerationDeleted", id: "g1" } },
};
const nameOf = (operation: Operation) =>
  (operation.query.definitions[0] as { name?: { value: string } }).name?.value ?? "";
const api: Exchange = () => (operations) =>
  pipe(
    operations,
    filter((operation) => operation.kind !== "teardown"),
    mergeMap((operation) =>
      pipe(
        fromValue(operation),
        map(() => ({
          operation, data: answers[nameOf(operation)], stale: false, hasNext: false,
        })),
      ),
    ),
  );

describe("the cache", () => {
  it("knows the schema's interfaces", () => {
    const sdl = readFileSync(new URL("../../schema/schema.graphql", import.meta.url), "utf8");
    const schema = buildSchema(sdl);
    const found = Object.values(schema.getTypeMap())
      .filter((type) => isInterfaceType(type))
      .map((type) => [type.name, schema.getPossibleTypes(type).map(({ name }) => name).toSorted()]);
    expect(possibleTypes).toEqual(Object.fromEntries(found));
  });

  it("repaints the grid by what is pushed, and keeps lists in step", async () => {
    const client = new Client({ url: "/", preferGetMethod: false, exchanges: [cache, api] });
    const shown: { id: string; versions: number[] }[][] = [];
    const page = client.query(SketchbookDocument, { first: PAGE_SIZE, after: null });
    const { unsubscribe } = page.subscribe(({ data }) => {
      const edges = data?.generations.edges ?? [];
      shown.push(edges.map(({ node }) => ({ id: node.id, versions: node.jobs.map((each) => each.version) })));
    });
    client.subscription(FollowDocument, { jobIds: ["j1", "j2"] }).subscribe(() => undefined);
    await client.mutation(StartDocument, { input: {} }).toPromise();
    await client.mutation(StartDocument, { input: {} }).toPromise(); // a replay
    await client.mutation(DeleteGridDocument, { id: "g1" }).toPromise();
    unsubscribe();
    expect(shown[0]).toEqual([{ id: "g1", versions: [1, 1] }]);
    expect(shown).toContainEqual([{ id: "g1", versions: [1, 7] }]);
    expect(shown).toContainEqual([
      { id: "g2", versions: [1] },
      { id: "g1", versions: [1, 7] },
    ]);
    expect(shown.at(-1)).toEqual([{ id: "g2", versions: [1] }]);
  });
});
