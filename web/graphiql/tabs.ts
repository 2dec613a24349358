/** What the tabs hold at first: one story, from starting a grid to looking back. */

const START = `# 1. Start a grid of three frames. Copy the ids of its jobs into the next tab.
mutation Start($input: StartGenerationInput!) {
  startGeneration(input: $input) {
    __typename
    ... on GenerationStarted {
      generation {
        id
        jobs { id variant seed state }
      }
    }
    ... on UserError { code message }
    ... on InvalidInput { field }
  }
}
`;

const FOLLOW = `# 2. Follow all of its frames over one websocket: each as it is now, then every change.
subscription Follow($jobIds: [ID!]!) {
  jobProgress(jobIds: $jobIds) {
    id
    variant
    version
    state
    stage
    progress
    progressKind
    preview { url }
    image { url width height }
    error { code message retryable }
  }
}
`;

const REGENERATE = `# 3. The same character again: keep the seed, change the words.
mutation Regenerate($input: RegenerateInput!) {
  regenerate(input: $input) {
    __typename
    ... on JobRegenerated {
      job { id seed regeneratedFrom { id } generation { prompt } }
    }
    ... on UserError { code message }
  }
}
`;

const PAGE = `# 4. Look back, page by page: give a page's endCursor as the next one's after.
query Page($first: Int!, $after: String) {
  viewer { id quota { remainingRequests activeJobs } }
  generations(first: $first, after: $after) {
    nodes {
      prompt
      style
      createdAt
      jobs { id state image { thumbnailUrl } }
    }
    pageInfo { hasNextPage endCursor }
  }
}
`;

const withVariables = (query: string, variables: object) => ({
  query,
  variables: JSON.stringify(variables, null, 2),
});

export const tabs = [
  withVariables(START, {
    input: { prompt: "A lighthouse above a summer sea", style: "ghibli", variantCount: 3 },
  }),
  withVariables(FOLLOW, { jobIds: ["an id from the first tab"] }),
  withVariables(REGENERATE, {
    input: { jobId: "an id from the first tab", promptDelta: "+ with paper kites", lockSeed: true },
  }),
  withVariables(PAGE, { first: 5, after: null }),
];
