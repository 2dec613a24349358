import { useState } from "react";
import { problemOf } from "../api/problems";
import type { JobOverviewFilter } from "../graphql/generated/graphql";
import { Costs } from "./Costs";
import { Jobs } from "./Jobs";
import { Queue } from "./Queue";
import { useOversight } from "./useOversight";
import { Workers } from "./Workers";
import "./operator.css";

/** The work of all users: what waits, who works, what went wrong, what it costs. */
export default function OperatorPage() {
  const [filter, setFilter] = useState<JobOverviewFilter>({ stuck: true });
  const { oversight, missing, error, act } = useOversight(filter);
  return (
    <main className="operator">
      <h1>Operating</h1>
      {missing ? <p>This page is for operators only.</p> : null}
      {!oversight && error ? <p role="alert">{problemOf(error, 0).message}</p> : null}
      {!oversight && !missing && !error ? <p aria-busy="true">One moment …</p> : null}
      {oversight ? (
        <>
          <Queue queue={oversight.queue} pauses={oversight.pauses} act={act} />
          <Workers workers={oversight.workers} act={act} />
          <Jobs jobs={oversight.jobs.nodes} filter={filter} onFilter={setFilter} act={act} />
          <Costs costs={oversight.costs} />
        </>
      ) : null}
    </main>
  );
}
