import { useStore } from "../ui/store";
import { pinned } from "./comparing";

/** Says that a second frame is awaited for the comparison. */
export function PinnedBar() {
  const first = useStore(pinned);
  if (!first) return null;
  return (
    <aside className="pinned-bar" aria-label="Comparison">
      {first.image?.thumbnailUrl ? <img src={first.image.thumbnailUrl} alt="" /> : null}
      <p role="status">Choose a second frame to compare with this one.</p>
      <button type="button" className="quiet-button" onClick={() => pinned.set(undefined)}>
        Never mind
      </button>
    </aside>
  );
}
