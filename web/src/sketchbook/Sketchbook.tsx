import { useCallback, useEffect, useRef, useState } from "react";
import { useQuery } from "urql";
import { PAGE_SIZE } from "../api/cache";
import { SketchbookDocument } from "../graphql/generated/graphql";
import { Grid } from "./Grid";
import { useQueue } from "./useQueue";

/** Everything the viewer has had painted, newest first, page by page as one scrolls. */
export function Sketchbook() {
  const [cursors, setCursors] = useState<(string | null)[]>([null]);
  const more = useCallback((cursor: string) => {
    setCursors((known) => (known.includes(cursor) ? known : [...known, cursor]));
  }, []);
  return (
    <section className="sketchbook" id="sketchbook" aria-label="Sketchbook">
      <h2>Sketchbook</h2>
      {cursors.map((cursor, index) => (
        <Page key={cursor} after={cursor} isLast={index === cursors.length - 1} more={more} />
      ))}
    </section>
  );
}

interface PageProps {
  after: string | null;
  isLast: boolean;
  more: (cursor: string) => void;
}

function Page({ after, isLast, more }: PageProps) {
  const [{ data, fetching, error }, read] = useQuery({
    query: SketchbookDocument,
    variables: { first: PAGE_SIZE, after },
  });
  const page = data?.generations;
  useQueue(page?.edges.flatMap((edge) => edge.node.jobs) ?? []);
  const next = page?.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
  const showMore = useCallback(() => next && more(next), [more, next]);
  return (
    <>
      {page?.edges.map(({ node }) => (
        <Grid key={node.id} grid={node} />
      ))}
      {!page && fetching ? <Skeleton /> : null}
      {!page && error ? (
        <div className="empty">
          <p>Your frames could not be read just now.</p>
          <button type="button" className="quiet-button" onClick={() => read({ requestPolicy: "network-only" })}>
            Try again
          </button>
        </div>
      ) : null}
      {page?.edges.length === 0 && after === null ? (
        <p className="empty">Nothing here yet. Your first frames will appear on this page.</p>
      ) : null}
      {isLast && next ? <More onSeen={showMore} /> : null}
    </>
  );
}

/** Asks for the next page shortly before the end comes into view. */
function More({ onSeen }: { onSeen: () => void }) {
  const ref = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!ref.current) return;
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && onSeen(), {
      rootMargin: "600px",
    });
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, [onSeen]);
  return (
    <button ref={ref} type="button" className="quiet-button more" onClick={onSeen}>
      Show older frames
    </button>
  );
}

function Skeleton() {
  return (
    <div className="grid skeleton" aria-busy="true" aria-label="Reading your frames">
      <ul className="tiles" aria-hidden="true">
        <li className="tile" />
        <li className="tile" />
        <li className="tile" />
      </ul>
    </div>
  );
}
