import type { Client } from "@urql/core";
import { onEnd, pipe, subscribe } from "wonka";
import { FollowDocument, SketchbookDocument } from "../graphql/generated/graphql";
import { backoffMs } from "./backoff";
import { PAGE_SIZE } from "./cache";
import { codeOf } from "./problems";

/**
 * Follow jobs until the returned function is called. What arrives goes into the cache, nowhere else.
 *
 * The socket re-subscribes by itself after a break. What is left to do here is the rare case that
 * the server ends a subscription too early, because it stops or because its database was away:
 * then it is started again, after a pause, and its snapshot makes up for what was missed.
 */
export function follow(client: Client, jobIds: string[]): () => void {
  let attempt = 0;
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let current: { unsubscribe: () => void } | undefined;

  const start = () => {
    current = pipe(
      client.subscription(FollowDocument, { jobIds }),
      onEnd(() => {
        if (!stopped) timer = setTimeout(start, backoffMs(attempt++));
      }),
      subscribe(({ error }) => {
        if (!error) attempt = 0;
        else if (codeOf(error) === "JOB_NOT_FOUND") {
          // One was deleted in another tab. The list knows; its grid will be gone.
          stopped = true;
          const ask = { requestPolicy: "network-only" } as const;
          void client.query(SketchbookDocument, { first: PAGE_SIZE, after: null }, ask).toPromise();
        }
      }),
    );
  };
  start();

  return () => {
    stopped = true;
    clearTimeout(timer);
    current?.unsubscribe();
  };
}
