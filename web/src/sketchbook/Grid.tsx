import { memo, useId } from "react";
import { useMutation } from "urql";
import { report } from "../api/report";
import { useStyleName } from "../app/StyleNames";
import { isUnfinished, pixelsOf, ago } from "../frame/words";
import { Tile } from "../frame/Tile";
import { CancelGridDocument, type GridFragment } from "../graphql/generated/graphql";
import { useNow } from "../ui/clock";
import { DeleteButton } from "./DeleteButton";
import { useLiveGrid } from "./useLiveGrid";
import { useNews } from "./useNews";

/** One generation: what was asked for, and its frames. */
export const Grid = memo(function Grid({ grid }: { grid: GridFragment }) {
  const id = useId();
  useLiveGrid(grid.jobs);
  useNews(grid.jobs);
  const { width, height } = pixelsOf(grid.size);
  const style = useStyleName(grid.style);
  const shape = width > height ? "wide" : width < height ? "tall" : "square";
  return (
    <article
      className="grid"
      aria-labelledby={id}
      data-testid="grid"
      data-frames={grid.jobs.length}
      data-shape={shape}
    >
      <header className="grid-head">
        {grid.upload?.thumbnailUrl ? (
          <img className="grid-photo" src={grid.upload.thumbnailUrl} alt="What it is painted from" loading="lazy" />
        ) : null}
        <div className="grid-title">
          <h3 id={id}>{grid.promptDelta ?? (grid.prompt || "A photo, painted")}</h3>
          <p className="grid-facts">
            {grid.promptDelta && grid.prompt ? <span className="whole-prompt">{grid.prompt}</span> : null}
            <span>{style}</span>
            <span>
              {width} × {height}
            </span>
            <GridTime grid={grid} />
          </p>
        </div>
        <div className="grid-actions">
          {grid.jobs.filter(isUnfinished).length > 1 ? (
            <CancelAll id={grid.id} />
          ) : (
            <DeleteButton id={grid.id} />
          )}
        </div>
      </header>
      <ul className="tiles">
        {grid.jobs.map((job) => (
          <Tile
            key={job.id}
            frame={job}
            size={grid.size}
            of={grid.jobs.length}
            prompt={grid.prompt}
            placeholder={grid.upload?.thumbhash}
          />
        ))}
      </ul>
    </article>
  );
});

function GridTime({ grid }: { grid: GridFragment }) {
  const isLive = grid.jobs.some(isUnfinished);
  return <time dateTime={grid.createdAt}>{ago(grid.createdAt, useNow(isLive))}</time>;
}

function CancelAll({ id }: { id: string }) {
  const [{ fetching }, cancel] = useMutation(CancelGridDocument);
  const run = async () => {
    const { error } = await cancel({ id });
    if (error) report(error, () => void run());
  };
  return (
    <button type="button" className="quiet-button" disabled={fetching} onClick={() => void run()}>
      Cancel all
    </button>
  );
}
