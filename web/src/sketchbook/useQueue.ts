import { useEffect } from "react";
import { useClient } from "urql";
import type { Frame } from "../frame/words";
import { QueueDocument } from "../graphql/generated/graphql";

/**
 * Keeps places in the queue honest. They move when other jobs do, which is no change of the jobs
 * that wait, so nothing is pushed: they are read again whenever one of the viewer's jobs moves.
 */
export function useQueue(jobs: readonly Pick<Frame, "id" | "state">[]): void {
  const client = useClient();
  const states = jobs.map((job) => job.state).join(" ");
  useEffect(() => {
    if (!states.includes("PENDING")) return;
    void client.query(QueueDocument, {}, { requestPolicy: "network-only" }).toPromise();
  }, [client, states]);
}
