/** The words for what is going on, for eyes and for screen readers. */
import type { FallOverReason, FrameFragment, ImageSize, Stage } from "../graphql/generated/graphql";

export type Frame = FrameFragment;

export function isUnfinished(frame: Pick<Frame, "state">): boolean {
  return frame.state === "PENDING" || frame.state === "RUNNING";
}

const STAGES: Record<Stage, string> = {
  QUEUED: "In line",
  GENERATING: "Painting",
  DOWNLOADING: "Fetching",
  MODERATING: "Looking it over",
  STORING: "Framing",
};

export function stageWords(frame: Pick<Frame, "state" | "stage" | "queuePosition" | "retryCount">): string {
  if (frame.state === "PENDING") {
    if (frame.retryCount > 0) return "Trying again shortly";
    if (frame.queuePosition === 1) return "Next in line";
    return frame.queuePosition ? `Number ${frame.queuePosition} in line` : "In line";
  }
  return frame.stage ? STAGES[frame.stage] : "Painting";
}

const REASONS: Record<FallOverReason, string> = {
  OVERLOADED: "was busy",
  QUOTA_USED_UP: "paints no more today",
  UNAVAILABLE: "could not be reached",
  TIMED_OUT: "took too long",
  BAD_ANSWER: "sent nothing that is a picture",
  PAUSED: "has been failing",
};

/** Who paints it, and why that is not who was asked for. */
export function painterWords(frame: Pick<Frame, "model" | "fallOver">): string {
  const { model, fallOver } = frame;
  return fallOver ? `${model}, because ${fallOver.requestedProvider} ${REASONS[fallOver.reason]}` : model;
}

/** How much is done; nothing when nobody knows. */
export function progressWords(frame: Pick<Frame, "progress" | "progressKind">): string {
  switch (frame.progressKind) {
    case "MEASURED":
      return `${frame.progress} %`;
    case "ESTIMATED":
      return `about ${frame.progress} %`;
    case "INDETERMINATE":
      return "";
  }
}

/** When it will probably be done. Half are by `p50At`, nine in ten by `p90At`. */
export function etaWords(eta: Frame["eta"], nowMs: number): string {
  if (!eta) return "";
  const p50Ms = Date.parse(eta.p50At) - nowMs;
  if (p50Ms > 1_500) return `about ${span(p50Ms)}`;
  return Date.parse(eta.p90At) > nowMs ? "any moment" : "longer than usual";
}

/** A length of time, rounded as a person would. */
export function span(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000));
  if (seconds < 20) return `${seconds} s`;
  if (seconds < 90) return `${Math.round(seconds / 5) * 5} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

/** How long something took: 7.4 s. */
export function duration(ms: number): string {
  return ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : span(ms);
}

const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const DATE = new Intl.DateTimeFormat("en", { dateStyle: "medium" });
const DAY_MS = 86_400_000;

/** When something was: just now, 5 minutes ago, yesterday, or its date. */
export function ago(iso: string, nowMs: number): string {
  const passedMs = Math.max(0, nowMs - Date.parse(iso));
  if (passedMs < 45_000) return "just now";
  if (passedMs < 3_600_000) return RELATIVE.format(-Math.round(passedMs / 60_000), "minute");
  if (passedMs < DAY_MS) return RELATIVE.format(-Math.round(passedMs / 3_600_000), "hour");
  if (passedMs < 7 * DAY_MS) return RELATIVE.format(-Math.round(passedMs / DAY_MS), "day");
  return DATE.format(new Date(iso));
}

/** Width and height of a size, pixels. */
export function pixelsOf(size: ImageSize): { width: number; height: number } {
  const [, across, down] = /_(\d+)(?:X(\d+))?$/.exec(size) ?? [];
  const width = Number(across);
  return { width, height: Number(down ?? across) };
}

export function sizeWords(size: ImageSize): string {
  const { width, height } = pixelsOf(size);
  return `${width} × ${height}`;
}

/** "Frame 2 of 3" — or "The frame" when there is just one. */
export function nameOf(frame: Pick<Frame, "variant">, of: number): string {
  return of > 1 ? `Frame ${frame.variant + 1} of ${of}` : "The frame";
}

/** What to say aloud about a step from one state to the next; nothing for steps of no weight. */
export function newsOf(before: Frame, after: Frame, of: number): string {
  if (before.state === after.state) return "";
  const name = nameOf(after, of);
  switch (after.state) {
    case "PENDING":
      return `${name} will be tried again.`;
    case "RUNNING":
      return `${name} is being painted.`;
    case "SUCCESS":
      return `${name} is finished.`;
    case "CANCELLED":
      return `${name} was cancelled.`;
    case "FAILED":
      return `${name} failed. ${after.error?.message ?? ""}`.trim();
  }
}
