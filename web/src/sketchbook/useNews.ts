import { useEffect, useRef } from "react";
import { newsOf, type Frame } from "../frame/words";
import { announce } from "../ui/announcer";

/** Says aloud which of a grid's frames have reached another state. */
export function useNews(jobs: readonly Frame[]): void {
  const before = useRef<readonly Frame[]>(jobs);
  useEffect(() => {
    for (const job of jobs) {
      const was = before.current.find((other) => other.id === job.id);
      const news = was ? newsOf(was, job, jobs.length) : "";
      if (news) announce(news);
    }
    before.current = jobs;
  }, [jobs]);
}
