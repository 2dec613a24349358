import type { RelativeFragment } from "../graphql/generated/graphql";
import { ThumbHash } from "../ui/ThumbHash";
import { IconArrow } from "../ui/icons";
import { go } from "../ui/router";
import type { Details } from "./FrameDialog";

/** Where a frame comes from and what was made from it, oldest first. */
export function Lineage({ job }: { job: Details }) {
  const parent = job.regeneratedFrom;
  const before = [parent?.regeneratedFrom?.regeneratedFrom, parent?.regeneratedFrom, parent].filter(
    (each) => each !== null && each !== undefined,
  );
  if (before.length + job.regenerations.length === 0) return null;
  return (
    <section className="lineage">
      <h3>How it came about</h3>
      <ol>
        {before.map((each) => (
          <Relative key={each.id} job={each} />
        ))}
        <Relative job={job} isCurrent />
        {job.regenerations.map((each) => (
          <Relative key={each.id} job={each} />
        ))}
      </ol>
    </section>
  );
}

function Relative({ job, isCurrent = false }: { job: RelativeFragment | Details; isCurrent?: boolean }) {
  const { prompt, promptDelta } = job.generation;
  const words = promptDelta ?? (prompt || "From a photo");
  return (
    <li aria-current={isCurrent ? "true" : undefined}>
      <button
        type="button"
        className="relative"
        disabled={isCurrent}
        onClick={() => go({ view: "frame", id: job.id })}
      >
        <span className="relative-picture">
          {job.image ? <ThumbHash hash={job.image.thumbhash} /> : null}
          {job.image?.thumbnailUrl ? <img src={job.image.thumbnailUrl} alt="" loading="lazy" /> : null}
        </span>
        <span className="relative-words">
          {isCurrent ? "This frame: " : ""}
          {words}
        </span>
        {isCurrent ? null : <IconArrow />}
      </button>
    </li>
  );
}
