import { useEffect } from "react";
import { useClient, useQuery, type AnyVariables, type TypedDocumentNode } from "urql";
import { problemOf } from "../api/problems";
import {
  OversightDocument,
  type DoneFragment,
  type JobOverviewFilter,
  type OversightQuery,
} from "../graphql/generated/graphql";
import { announce } from "../ui/announcer";
import { showToast } from "../ui/toasts";

/** Nothing of this is pushed: it is a matter of seconds, for few people. */
const READ_MS = 3_000;

export type Oversight = NonNullable<OversightQuery["operator"]>;
export type Act = <V extends AnyVariables>(
  document: TypedDocumentNode<Record<string, DoneFragment>, V>,
  variables: V,
  done: string,
) => Promise<void>;

/** How things are, renewed while the page is looked at; and a way to change them. */
export function useOversight(filter: JobOverviewFilter) {
  const client = useClient();
  const [{ data, error }, read] = useQuery({
    query: OversightDocument,
    variables: { filter },
    requestPolicy: "cache-and-network",
  });
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) read({ requestPolicy: "network-only" });
    }, READ_MS);
    return () => clearInterval(timer);
  }, [read]);

  const act: Act = async (mutation, variables, done) => {
    const result = await client.mutation(mutation, variables).toPromise();
    const outcome = result.data && Object.values(result.data)[0];
    if (result.error) {
      showToast({ tone: "problem", ...problemOf(result.error, Date.now()) });
    } else if (outcome && "message" in outcome) {
      showToast({ tone: "problem", title: "That did not work", message: outcome.message });
    } else {
      const count = outcome && "jobCount" in outcome ? outcome.jobCount : null;
      announce(count === null || count === undefined ? done : `${done}: ${count}`);
    }
    read({ requestPolicy: "network-only" });
  };
  return { oversight: data?.operator, missing: data?.operator === null, error, act };
}
