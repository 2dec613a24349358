import { useEffect, useMemo, useRef } from "react";
import { useClient, useSubscription } from "urql";
import { backoffMs } from "../api/backoff";
import { codeOf } from "../api/problems";
import { PAGE_SIZE } from "../api/cache";
import { FollowDocument, SketchbookDocument } from "../graphql/generated/graphql";
import { isUnfinished, type Frame } from "../frame/words";

/**
 * Keeps a grid up to date while one of its frames is unfinished: one subscription for all of it.
 *
 * The socket re-subscribes by itself after a break. What is left to do here is the rare case that
 * the server ends the subscription too early, because it stops or because its database was away.
 */
export function useLiveGrid(jobs: readonly Pick<Frame, "id" | "state">[]): void {
  const client = useClient();
  const isLive = jobs.some(isUnfinished);
  const key = jobs.map((job) => job.id).join(" ");
  const variables = useMemo(() => ({ jobIds: key.split(" ") }), [key]);
  const [{ fetching, error }, subscribe] = useSubscription({
    query: FollowDocument,
    variables,
    pause: !isLive || key === "",
  });

  const attempt = useRef(0);
  const wasFollowing = useRef(false);
  useEffect(() => {
    if (fetching) wasFollowing.current = true;
    if (!isLive) {
      attempt.current = 0;
      wasFollowing.current = false;
    }
    if (!isLive || fetching || !wasFollowing.current) return;
    if (error && codeOf(error) === "JOB_NOT_FOUND") {
      // It was deleted elsewhere: the list knows.
      const ask = { requestPolicy: "network-only" } as const;
      void client.query(SketchbookDocument, { first: PAGE_SIZE, after: null }, ask).toPromise();
      return;
    }
    const timer = setTimeout(() => {
      wasFollowing.current = false;
      subscribe();
    }, backoffMs(attempt.current++));
    return () => clearTimeout(timer);
  }, [client, error, fetching, isLive, subscribe]);
}
