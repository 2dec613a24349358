/**
 * The normalised cache. There is no code here for what a subscription pushes: a pushed job has the
 * id of the one in the grid, so writing it down repaints the grid. Only lists need a word, when
 * something is added to them or taken away.
 */
import { cacheExchange, type Cache, type UpdateResolver } from "@urql/exchange-graphcache";
import {
  SketchbookDocument,
  type DeleteGridMutation,
  type GridFragment,
  type RegenerateMutation,
  type SketchbookQueryVariables,
  type StartMutation,
} from "../graphql/generated/graphql";

/** Grids per page of the sketchbook. */
export const PAGE_SIZE = 12;

const FIRST_PAGE: SketchbookQueryVariables = { first: PAGE_SIZE, after: null };
const embedded = () => null;

/** Who implements the schema's one interface; a test compares it with the schema. */
export const possibleTypes = {
  UserError: [
    "GenerationNotFound",
    "IdempotencyConflict",
    "InvalidInput",
    "JobNotFound",
    "NotRegenerable",
    "PromptRejected",
    "UploadNotFound",
    "UploadRejected",
    "WebhookNotFound",
    "WebhookRefused",
  ],
};

export const cache = cacheExchange({
  possibleTypes,
  keys: {
    DailyCost: embedded,
    Eta: embedded,
    FallOver: embedded,
    GenerationConnection: embedded,
    GenerationEdge: embedded,
    Image: embedded,
    JobError: embedded,
    JobOverviewConnection: embedded,
    Limits: embedded,
    Operator: embedded,
    OperatorActionDone: embedded,
    PageInfo: embedded,
    Preview: embedded,
    Provider: (provider) => provider["name"] as string,
    QueueLength: embedded,
    QueuePause: embedded,
    Style: (style) => style["slug"] as string,
    Worker: embedded,
  },
  updates: {
    Mutation: {
      startGeneration: ((result: StartMutation, _args, store) => {
        const started = result.startGeneration;
        if (started.__typename === "GenerationStarted") putOnTop(store, started.generation);
      }) as UpdateResolver,
      regenerate: ((result: RegenerateMutation, _args, store) => {
        const made = result.regenerate;
        if (made.__typename === "JobRegenerated") putOnTop(store, made.job.generation);
      }) as UpdateResolver,
      deleteGeneration: ((result: DeleteGridMutation, _args, store) => {
        const deleted = result.deleteGeneration;
        if (deleted.__typename === "GenerationDeleted") takeOut(store, deleted.id);
      }) as UpdateResolver,
    },
  },
});

function putOnTop(store: Cache, generation: GridFragment): void {
  store.updateQuery({ query: SketchbookDocument, variables: FIRST_PAGE }, (page) => {
    if (!page) return page;
    const { edges } = page.generations;
    // A duplicate or replayed request is answered with a grid that is in the list already.
    if (edges.some((edge) => edge.node.id === generation.id)) return page;
    const edge = { __typename: "GenerationEdge" as const, cursor: "", node: generation };
    return { ...page, generations: { ...page.generations, edges: [edge, ...edges] } };
  });
}

function takeOut(store: Cache, id: string): void {
  for (const field of store.inspectFields("Query")) {
    if (field.fieldName !== "generations") continue;
    const variables = field.arguments as SketchbookQueryVariables;
    store.updateQuery({ query: SketchbookDocument, variables }, (page) => {
      if (!page) return page;
      const edges = page.generations.edges.filter((edge) => edge.node.id !== id);
      return { ...page, generations: { ...page.generations, edges } };
    });
  }
}
