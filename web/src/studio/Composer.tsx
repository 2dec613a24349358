import { useCallback, useId, useRef, useState, type FormEvent, type KeyboardEvent } from "react";
import { refusedUntil } from "../api/report";
import type { StudioQuery } from "../graphql/generated/graphql";
import { useNow } from "../ui/clock";
import { IconBrush } from "../ui/icons";
import { useStore } from "../ui/store";
import { Choices } from "./Choices";
import { readSeed, useDraft } from "./draft";
import { PhotoWell } from "./PhotoWell";
import { SeedField } from "./SeedField";
import { sizeOption } from "./sizes";
import { StylePicker } from "./StylePicker";
import { usePhoto } from "./usePhoto";
import { useStart, type FieldProblem } from "./useStart";

const COUNTS = ["no frames", "one frame", "two frames", "three frames"];

/** The form: a photo, a sentence or both; how to paint it; go. */
export function Composer({ studio }: { studio: StudioQuery }) {
  const id = useId();
  const { limits } = studio.viewer;
  const [draft, change] = useDraft();
  const { photo, choose, remove } = usePhoto(limits.maxUploadBytes);
  const [problem, setProblem] = useState<FieldProblem>();
  const prompt = useRef<HTMLTextAreaElement>(null);
  const form = useRef<HTMLFormElement>(null);
  const { start, isStarting } = useStart();
  const take = useCallback((file: Blob) => void choose(file), [choose]);

  const provider =
    studio.providers.find((each) => each.name === draft.provider) ??
    studio.providers.find((each) => each.isDefault) ??
    studio.providers[0];
  const sizes = provider?.sizes ?? [];
  const size = sizes.includes(draft.size) ? draft.size : (sizes[0] ?? draft.size);
  const style = studio.styles.some((each) => each.slug === draft.style)
    ? draft.style
    : (studio.styles[0]?.slug ?? draft.style);
  const count = Math.min(draft.variantCount, limits.maxVariants);

  async function submit(event: FormEvent) {
    event.preventDefault();
    const seed = readSeed(draft.seed);
    const upload = photo.state === "there" ? photo.upload : undefined;
    const wrong = check(draft.prompt, upload !== undefined, seed);
    if (wrong) return refuse(wrong);
    const wish = {
      prompt: draft.prompt,
      style,
      size,
      variantCount: count,
      lockSeed: draft.lockSeed,
      ...(seed === null || seed === undefined ? {} : { seed }),
      ...(upload ? { uploadId: upload.id } : {}),
      ...(draft.provider ? { provider: draft.provider } : {}),
    };
    await start(wish, (outcome) => {
      if (outcome !== "started") return refuse(outcome);
      setProblem(undefined);
      document.getElementById("sketchbook")?.scrollIntoView();
    });
  }

  function refuse(wrong: FieldProblem) {
    setProblem(wrong);
    if (wrong.field === "prompt") prompt.current?.focus();
  }

  function submitOnEnter(event: KeyboardEvent) {
    if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) form.current?.requestSubmit();
  }

  const messageFor = (field: string) => (problem?.field === field ? problem.message : "");
  const other = problem && !["prompt", "seed", "uploadId"].includes(problem.field) ? problem.message : "";

  return (
    <form ref={form} className="composer" aria-label="What to paint" onSubmit={(event) => void submit(event)} noValidate>
      <div className="composer-what">
        <PhotoWell photo={photo} choose={take} remove={remove} />
        <div className="composer-words">
          <label htmlFor={`${id}-prompt`} className="visually-hidden">
            What to paint
          </label>
          <textarea
            ref={prompt}
            id={`${id}-prompt`}
            className="prompt"
            rows={4}
            maxLength={limits.maxPromptCharacters}
            value={draft.prompt}
            placeholder="A lighthouse above a summer sea, paper kites in the wind …"
            aria-invalid={messageFor("prompt") !== ""}
            aria-describedby={`${id}-refusal`}
            onKeyDown={submitOnEnter}
            onChange={(event) => {
              change({ prompt: event.target.value });
              if (problem?.field === "prompt") setProblem(undefined);
            }}
          />
          <Remaining used={draft.prompt.length} most={limits.maxPromptCharacters} />
          <p className="refusal" id={`${id}-refusal`} role="alert">
            {messageFor("prompt") || messageFor("uploadId")}
          </p>
        </div>
      </div>
      <StylePicker styles={studio.styles} value={style} onChange={(slug) => change({ style: slug })} />
      <div className="composer-how">
        <Choices
          legend="Size"
          name="size"
          options={sizes.map(sizeOption)}
          value={size}
          onChange={(chosen) => change({ size: chosen })}
        />
        <Choices
          legend="Frames"
          name="frames"
          options={Array.from({ length: limits.maxVariants }, (_, index) => ({
            value: index + 1,
            label: index + 1,
            says: COUNTS[index + 1] ?? `${index + 1} frames`,
          }))}
          value={count}
          onChange={(chosen) => change({ variantCount: chosen })}
        />
        {provider?.seed === "NONE" ? null : (
          <SeedField draft={draft} change={change} problem={messageFor("seed")} />
        )}
        {studio.providers.length > 1 ? (
          <label className="select-field">
            <span>Painter</span>
            <select
              className="field"
              value={provider?.name}
              onChange={(event) => change({ provider: event.target.value })}
            >
              {studio.providers.map((each) => (
                <option key={each.name} value={each.name}>
                  {each.name}
                </option>
              ))}
            </select>
          </label>
        ) : null}
      </div>
      <p className="refusal" role="alert">
        {other}
      </p>
      <StartButton
        words={`Paint ${COUNTS[count] ?? `${count} frames`}`}
        isBusy={isStarting}
        isSending={photo.state === "sending"}
      />
    </form>
  );
}

function check(prompt: string, hasPhoto: boolean, seed: ReturnType<typeof readSeed>): FieldProblem | undefined {
  if (!prompt.trim() && !hasPhoto) {
    return { field: "prompt", message: "Write what to paint, or add a photo." };
  }
  if (seed === undefined) return { field: "seed", message: "A whole number from 0 to 2147483647." };
  return undefined;
}

/** How many characters are left, once that matters. */
function Remaining({ used, most }: { used: number; most: number }) {
  if (used < most * 0.8) return null;
  return <p className="hint remaining">{most - used} characters left</p>;
}

function StartButton({ words, isBusy, isSending }: { words: string; isBusy: boolean; isSending: boolean }) {
  const until = useStore(refusedUntil);
  const now = useNow(until > 0);
  const waitS = Math.ceil((until - now) / 1000);
  const label = isSending ? "The photo is on its way …" : waitS > 0 ? `Again in ${waitS} s` : words;
  return (
    <button type="submit" className="primary-button start" disabled={isBusy || isSending || waitS > 0}>
      <IconBrush /> {label}
    </button>
  );
}
