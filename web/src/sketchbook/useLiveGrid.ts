import { useEffect } from "react";
import { useClient } from "urql";
import { follow } from "../api/follow";
import { isUnfinished, type Frame } from "../frame/words";

/** Keeps a grid up to date while one of its frames is unfinished: one subscription for all of it. */
export function useLiveGrid(jobs: readonly Pick<Frame, "id" | "state">[]): void {
  const client = useClient();
  const isLive = jobs.some(isUnfinished);
  const key = jobs.map((job) => job.id).join(" ");
  useEffect(() => (isLive ? follow(client, key.split(" ")) : undefined), [client, isLive, key]);
}
