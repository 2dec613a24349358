import { RetryFailedDocument, type JobOverviewFilter } from "../graphql/generated/graphql";
import { Table } from "./Table";
import type { Act, Oversight } from "./useOversight";

const VIEWS: { name: string; filter: JobOverviewFilter; empty: string }[] = [
  { name: "Stuck", filter: { stuck: true }, empty: "Nothing is stuck." },
  { name: "Failed", filter: { states: ["FAILED"] }, empty: "Nothing has failed." },
  { name: "Running", filter: { states: ["RUNNING"] }, empty: "Nothing is running." },
  { name: "Waiting", filter: { states: ["PENDING"] }, empty: "Nothing is waiting." },
];

interface JobsProps {
  jobs: Oversight["jobs"]["nodes"];
  filter: JobOverviewFilter;
  onFilter: (filter: JobOverviewFilter) => void;
  act: Act;
}

/** The newest jobs of one kind; those that failed can be made again. */
export function Jobs({ jobs, filter, onFilter, act }: JobsProps) {
  const view = VIEWS.find((one) => one.filter === filter) ?? VIEWS[0];
  const failed = jobs.filter((job) => job.state === "FAILED").map((job) => job.id);
  const again = (jobIds: string[]) =>
    void act(RetryFailedDocument, { input: { jobIds } }, "Made again");
  return (
    <Table
      title="Jobs"
      heads={["Job", "User", "State", "Provider", "Worker", "Try", "Accepted", "Action"]}
      empty={view?.empty}
      controls={
        <>
          {VIEWS.map(({ name, filter: wanted }) => (
            <button
              key={name}
              type="button"
              className="quiet"
              aria-pressed={view?.name === name}
              onClick={() => onFilter(wanted)}
            >
              {name}
            </button>
          ))}
          {failed.length > 1 ? (
            <button type="button" className="quiet" onClick={() => again(failed)}>
              Make all {failed.length} again
            </button>
          ) : null}
        </>
      }
      rows={jobs.map((job) => ({
        key: job.id,
        cells: [
          <code key="id">{job.id}</code>,
          job.userId,
          job.errorCode ?? job.state,
          job.provider,
          job.workerName ?? "",
          job.attempt,
          new Date(job.createdAt).toLocaleString(),
          job.state === "FAILED" ? (
            <button
              key="again"
              type="button"
              className="quiet"
              aria-label={`Make ${job.id} again`}
              onClick={() => again([job.id])}
            >
              Make again
            </button>
          ) : (
            ""
          ),
        ],
      }))}
    />
  );
}
