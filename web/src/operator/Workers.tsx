import { DrainWorkerDocument } from "../graphql/generated/graphql";
import { Table } from "./Table";
import type { Act, Oversight } from "./useOversight";

/** Who works, and who is to take nothing new. */
export function Workers({ workers, act }: { workers: Oversight["workers"]; act: Act }) {
  return (
    <Table
      title="Workers"
      heads={["Name", "Running", "Slots", "State", "Action"]}
      empty="No worker was heard of in the last minute."
      rows={workers.map(({ name, running, slots, draining }) => ({
        key: name,
        cells: [
          name,
          running,
          slots,
          draining ? (running ? "draining" : "drained") : "working",
          <button
            key="drain"
            type="button"
            className="quiet"
            aria-label={draining ? `Let ${name} take jobs` : `Drain ${name}`}
            onClick={() =>
              act(
                DrainWorkerDocument,
                { name, draining: !draining },
                draining ? `${name} takes jobs again` : `${name} is drained`,
              )
            }
          >
            {draining ? "Take jobs" : "Drain"}
          </button>,
        ],
      }))}
    />
  );
}
