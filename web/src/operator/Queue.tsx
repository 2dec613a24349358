import { PauseQueueDocument, ResumeQueueDocument } from "../graphql/generated/graphql";
import { Table } from "./Table";
import type { Act, Oversight } from "./useOversight";

interface QueueProps {
  queue: Oversight["queue"];
  pauses: Oversight["pauses"];
  act: Act;
}

/** What waits and what runs, by provider; and what holds it back. */
export function Queue({ queue, pauses, act }: QueueProps) {
  const named = [...queue, ...pauses].map((one) => one.provider).filter((name) => name !== null);
  const pausedBy = (provider: string | null) =>
    pauses.find((one) => one.provider === provider)?.pausedBy;
  const button = (provider: string | null) => {
    const paused = pausedBy(provider) !== undefined;
    const what = provider ?? "the whole queue";
    return (
      <button
        type="button"
        className="quiet"
        aria-label={`${paused ? "Resume" : "Pause"} ${what}`}
        onClick={() =>
          paused
            ? act(ResumeQueueDocument, { provider }, `Resumed: ${what}`)
            : act(PauseQueueDocument, { provider }, `Paused: ${what}`)
        }
      >
        {paused ? "Resume" : "Pause"}
      </button>
    );
  };
  const sum = (provider: string | null, state: string) =>
    queue
      .filter((one) => (provider === null || one.provider === provider) && one.state === state)
      .reduce((total, one) => total + one.jobs, 0);
  const oldest = (provider: string | null) =>
    Math.max(
      0,
      ...queue
        .filter((one) => provider === null || one.provider === provider)
        .map((one) => one.oldestSeconds),
    );
  const row = (provider: string | null) => ({
    key: provider ?? "*",
    cells: [
      provider ?? "All",
      sum(provider, "PENDING"),
      `${Math.round(oldest(provider))} s`,
      sum(provider, "RUNNING"),
      pausedBy(provider) ? `paused by ${pausedBy(provider)}` : "",
      button(provider),
    ],
  });
  return (
    <Table
      title="Queue"
      heads={["Provider", "Waiting", "Oldest", "Running", "State", "Action"]}
      rows={[null, ...[...new Set(named)].toSorted()].map(row)}
    />
  );
}
