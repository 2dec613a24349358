// What relay-compiler reads; paint.mjs uses what it writes.
import { graphql } from "relay-runtime";

export const start = graphql`
  mutation queriesStartMutation($input: StartGenerationInput!) {
    startGeneration(input: $input) {
      __typename
      ... on GenerationStarted {
        generation {
          id
          jobs {
            ...queries_frame @relay(mask: false)
          }
        }
      }
      ... on UserError {
        code
        message
      }
    }
  }
`;

export const follow = graphql`
  subscription queriesFollowSubscription($ids: [ID!]!) {
    jobProgress(jobIds: $ids) {
      ...queries_frame @relay(mask: false)
    }
  }
`;

export const frame = graphql`
  fragment queries_frame on Job {
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
