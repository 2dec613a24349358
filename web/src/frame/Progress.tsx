import { useNow } from "../ui/clock";
import { etaWords, isUnfinished, progressWords, stageWords, type Frame } from "./words";

/** Where a frame is, as it is: a measured bar, one that says that it is a guess, or a shimmer. */
export function Progress({ frame, name }: { frame: Frame; name: string }) {
  const now = useNow(isUnfinished(frame) && frame.eta !== null);
  const stage = stageWords(frame);
  const isRunning = frame.state === "RUNNING";
  const percent = isRunning ? progressWords(frame) : "";
  const eta = isRunning ? etaWords(frame.eta, now) : "";
  return (
    <div className="progress">
      <p className="progress-words">
        <span className="stage">{stage}</span>
        {percent ? <span className="percent">{percent}</span> : null}
        {eta ? (
          <span
            className="eta"
            title={`From the last ${frame.eta?.sampleSize ?? 0} frames: half of them were done by then.`}
          >
            {eta}
          </span>
        ) : null}
      </p>
      {isRunning ? <Stroke frame={frame} label={`${name}: ${stage}`} /> : null}
    </div>
  );
}

function Stroke({ frame, label }: { frame: Frame; label: string }) {
  const { progress, progressKind: kind } = frame;
  const value = {
    "aria-valuenow": progress,
    "aria-valuemin": 0,
    "aria-valuemax": 100,
    "aria-valuetext": progressWords(frame),
  };
  const isKnown = kind !== "INDETERMINATE";
  return (
    <div className="stroke" role="progressbar" aria-label={label} data-kind={kind} {...(isKnown ? value : {})}>
      <div
        className="stroke-fill"
        style={isKnown ? { transform: `scaleX(${Math.max(progress, 2) / 100})` } : undefined}
      />
    </div>
  );
}
