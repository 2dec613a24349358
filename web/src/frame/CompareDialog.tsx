import { useState } from "react";
import { useQuery } from "urql";
import { FrameDetailsDocument } from "../graphql/generated/graphql";
import { Dialog } from "../ui/Dialog";
import { close } from "../ui/router";
import type { Details } from "./FrameDialog";

/** Two frames, one above the other, with a divider that is pulled across. */
export function CompareDialog({ ids: [left, right] }: { ids: [string, string] }) {
  const [first] = useQuery({ query: FrameDetailsDocument, variables: { id: left } });
  const [second] = useQuery({ query: FrameDetailsDocument, variables: { id: right } });
  const a = first.data?.job;
  const b = second.data?.job;
  const isAway = (!first.fetching && !a?.image) || (!second.fetching && !b?.image);
  return (
    <Dialog title="Compare two frames" className="compare-dialog" onClose={close}>
      <h2>Compare</h2>
      {a?.image && b?.image ? <Comparison left={a} right={b} /> : null}
      {isAway ? <p className="empty">One of these frames is not here any more.</p> : null}
    </Dialog>
  );
}

function Comparison({ left, right }: { left: Details; right: Details }) {
  const [percent, setPercent] = useState(50);
  const ratio = left.image ? `${left.image.width} / ${left.image.height}` : "1";
  return (
    <>
      <div className="compare" style={{ aspectRatio: ratio }}>
        <img src={right.image?.url ?? ""} alt={`Right: ${caption(right)}`} />
        <img
          src={left.image?.url ?? ""}
          alt={`Left: ${caption(left)}`}
          style={{ clipPath: `inset(0 ${100 - percent}% 0 0)` }}
        />
        <div className="compare-line" style={{ left: `${percent}%` }} aria-hidden="true" />
        <input
          type="range"
          min={0}
          max={100}
          value={percent}
          aria-label="How much of the left frame is shown"
          aria-valuetext={`${percent} percent`}
          onChange={(event) => setPercent(event.target.valueAsNumber)}
        />
      </div>
      <div className="compare-captions">
        <p>{caption(left)}</p>
        <p>{caption(right)}</p>
      </div>
    </>
  );
}

function caption(job: Details): string {
  const { prompt, promptDelta } = job.generation;
  return `${promptDelta ?? (prompt || "From a photo")} · seed ${job.seed}`;
}
