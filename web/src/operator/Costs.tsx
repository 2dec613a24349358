import { Table } from "./Table";
import type { Oversight } from "./useOversight";

/** What calls cost, by day, user and provider. */
export function Costs({ costs }: { costs: Oversight["costs"] }) {
  return (
    <Table
      title="Costs"
      heads={["Day (UTC)", "User", "Provider", "Calls", "Unknown", "US $"]}
      empty="No calls in the last 30 days."
      rows={costs.map((one) => ({
        key: `${one.day} ${one.userId} ${one.provider}`,
        cells: [
          one.day,
          one.userId,
          one.provider,
          one.calls,
          one.unknownCalls,
          one.costUsd.toFixed(4),
        ],
      }))}
    />
  );
}
