import { useQuery } from "urql";
import { FrameDetailsDocument, type FrameDetailsQuery } from "../graphql/generated/graphql";
import { useStyleName } from "../app/StyleNames";
import { useLiveGrid } from "../sketchbook/useLiveGrid";
import { Dialog } from "../ui/Dialog";
import { IconCompare, IconDownload } from "../ui/icons";
import { close } from "../ui/router";
import { AgainForm } from "./AgainForm";
import { compareWith } from "./comparing";
import { Lineage } from "./Lineage";
import { Picture } from "./Picture";
import { Progress } from "./Progress";
import { fileName } from "./Tile";
import { duration, isUnfinished, nameOf, painterWords, sizeWords, type Frame } from "./words";

export type Details = NonNullable<FrameDetailsQuery["job"]>;

/** One frame, large: what it is, where it comes from, and what can become of it. */
export function FrameDialog({ id }: { id: string }) {
  const [{ data, fetching, error }] = useQuery({
    query: FrameDetailsDocument,
    variables: { id },
    requestPolicy: "cache-and-network",
  });
  const job = data?.job;
  return (
    <Dialog title="Frame" className="frame-dialog" onClose={close}>
      {job ? <FrameView job={job} /> : null}
      {!job && fetching ? <div className="frame-loading" aria-busy="true" /> : null}
      {!job && !fetching ? (
        <div className="empty">
          <h2>This frame is not here</h2>
          <p>{error ? "It could not be read just now." : "It may have been deleted."}</p>
        </div>
      ) : null}
    </Dialog>
  );
}

function FrameView({ job }: { job: Details }) {
  const grid = job.generation;
  const name = nameOf(job, grid.jobs.length);
  useLiveGrid([job]);
  return (
    <div className="frame-view">
      <div className="frame-stage">
        <Picture
          frame={job}
          size={grid.size}
          placeholder={grid.upload?.thumbhash}
          sizes="(max-width: 60rem) 94vw, 60vw"
          alt={`${name}: ${grid.prompt || "the photo, painted"}`}
          eager
        />
        {isUnfinished(job) ? <Progress frame={job} name={name} /> : null}
      </div>
      <div className="frame-side">
        <h2 className="frame-prompt">{grid.prompt || "A photo, painted"}</h2>
        <Facts job={job} />
        {job.image?.url ? <FrameLinks job={job} url={job.image.url} /> : null}
        {isUnfinished(job) ? null : <AgainForm key={job.id} job={job} />}
        <Lineage job={job} />
      </div>
    </div>
  );
}

function FrameLinks({ job, url }: { job: Frame; url: string }) {
  return (
    <div className="button-row">
      <a className="quiet-button" href={url} download={fileName(job)}>
        <IconDownload /> Download
      </a>
      <button
        type="button"
        className="quiet-button"
        onClick={() => {
          compareWith(job);
          if (location.search.includes("frame=")) close();
        }}
      >
        <IconCompare /> Compare
      </button>
    </div>
  );
}

function Facts({ job }: { job: Details }) {
  const { generation: grid } = job;
  const style = useStyleName(grid.style);
  const size = job.image ? `${job.image.width} × ${job.image.height}` : sizeWords(grid.size);
  const facts: [string, string][] = [
    ["Style", style],
    ["Size", size],
    ["Seed", `${job.seed}${job.seedLocked ? ", kept" : ""}`],
    ["Painted by", painterWords(job)],
  ];
  if (job.generationTimeMs !== null) facts.push(["In", duration(job.generationTimeMs)]);
  if (job.retryCount > 0) facts.push(["Tries", String(job.retryCount + 1)]);
  return (
    <dl className="facts">
      {facts.map(([term, value]) => (
        <div key={term}>
          <dt>{term}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
