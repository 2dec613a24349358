import { memo } from "react";
import type { GridFragment } from "../graphql/generated/graphql";
import { IconButton } from "../ui/Button";
import { IconAgain, IconBrush, IconClose, IconCompare, IconDownload } from "../ui/icons";
import { go } from "../ui/router";
import { useStore } from "../ui/store";
import { compareWith, pinned } from "./comparing";
import { Picture } from "./Picture";
import { Progress } from "./Progress";
import { useFrameActions } from "./useFrameActions";
import { duration, isUnfinished, nameOf, type Frame } from "./words";

interface TileProps {
  frame: Frame;
  size: GridFragment["size"];
  of: number;
  prompt: string;
  placeholder: string | undefined;
}

const SIZES = "(max-width: 34rem) 46vw, (max-width: 60rem) 30vw, 20rem";

/** One frame of a grid. Drawn anew only when its own data has changed. */
export const Tile = memo(function Tile({ frame, size, of, prompt, placeholder }: TileProps) {
  const name = nameOf(frame, of);
  return (
    <li className="tile" data-state={frame.state} data-testid="tile" data-job={frame.id}>
      <TileFace frame={frame} name={name}>
        <Picture
          frame={frame}
          size={size}
          placeholder={placeholder}
          sizes={SIZES}
          alt={frame.image ? `${name}: ${prompt || "the photo, painted"}` : ""}
        />
        {isUnfinished(frame) ? <Progress frame={frame} name={name} /> : null}
        {frame.state === "FAILED" ? <Failed frame={frame} /> : null}
        {frame.state === "CANCELLED" ? <p className="tile-note">Cancelled</p> : null}
      </TileFace>
      <TileActions frame={frame} name={name} />
    </li>
  );
});

function TileFace({ frame, name, children }: { frame: Frame; name: string; children: React.ReactNode }) {
  if (frame.state !== "SUCCESS") return <div className="tile-face">{children}</div>;
  return (
    <button
      type="button"
      className="tile-face"
      aria-label={`${name}: open`}
      onClick={() => go({ view: "frame", id: frame.id })}
    >
      {children}
    </button>
  );
}

function Failed({ frame }: { frame: Frame }) {
  return (
    <div className="tile-note tile-failed">
      <strong>This one did not work out</strong>
      <p>{frame.error?.message}</p>
    </div>
  );
}

function TileActions({ frame, name }: { frame: Frame; name: string }) {
  const { cancel, regenerate, isBusy } = useFrameActions();
  const first = useStore(pinned);
  if (isUnfinished(frame)) {
    return (
      <div className="tile-actions">
        <IconButton
          label={`Cancel ${name.toLowerCase()}`}
          icon={<IconClose />}
          disabled={isBusy}
          onClick={() => void cancel(frame.id)}
        />
      </div>
    );
  }
  if (frame.state !== "SUCCESS") {
    return (
      <div className="tile-actions">
        <button
          type="button"
          className="quiet-button"
          disabled={isBusy}
          aria-label={`Paint ${name.toLowerCase()} again`}
          onClick={() => void regenerate({ jobId: frame.id, lockSeed: true })}
        >
          <IconAgain /> Paint it again
        </button>
      </div>
    );
  }
  return (
    <div className="tile-actions">
      <span className="tile-time">
        {frame.generationTimeMs === null ? "" : duration(frame.generationTimeMs)}
      </span>
      <IconButton
        label={`Compare ${name.toLowerCase()}`}
        icon={<IconCompare />}
        pressed={first?.id === frame.id}
        onClick={() => compareWith(frame)}
      />
      <DownloadLink frame={frame} name={name} />
      <IconButton
        label={`Again with the same character, from ${name.toLowerCase()}`}
        icon={<IconBrush />}
        onClick={() => go({ view: "frame", id: frame.id })}
      />
    </div>
  );
}

function DownloadLink({ frame, name }: { frame: Frame; name: string }) {
  if (!frame.image?.url) return null;
  const label = `Download ${name.toLowerCase()}`;
  return (
    <a className="icon-button" href={frame.image.url} download={fileName(frame)} aria-label={label} title={label}>
      <IconDownload />
    </a>
  );
}

export function fileName(frame: Frame): string {
  const ending = frame.image?.contentType.split("/")[1] ?? "webp";
  return `mintari-${frame.id.slice(-8)}-${frame.seed}.${ending}`;
}
