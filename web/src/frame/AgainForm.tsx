import { useId, useRef, useState, type FormEvent } from "react";
import { IconBrush } from "../ui/icons";
import { useStore } from "../ui/store";
import { refusedUntil } from "../api/report";
import { useNow } from "../ui/clock";
import type { Details } from "./FrameDialog";
import { useFrameActions } from "./useFrameActions";

/** "Again with the same character": the seed stays, the words change. */
export function AgainForm({ job }: { job: Details }) {
  const id = useId();
  const [delta, setDelta] = useState("");
  const [lockSeed, setLockSeed] = useState(true);
  const [refusal, setRefusal] = useState("");
  const words = useRef<HTMLTextAreaElement>(null);
  const { regenerate, isBusy } = useFrameActions();
  const until = useStore(refusedUntil);
  const isRefused = until > useNow(until > 0);

  async function submit(event: FormEvent) {
    event.preventDefault();
    setRefusal("");
    await regenerate({ jobId: job.id, promptDelta: delta, lockSeed }, (message) => {
      setRefusal(message);
      words.current?.focus();
    });
  }

  return (
    <form className="again" onSubmit={(event) => void submit(event)}>
      <h3>Again with the same character</h3>
      <label htmlFor={`${id}-delta`}>What should change?</label>
      <textarea
        ref={words}
        id={`${id}-delta`}
        className="field"
        rows={2}
        value={delta}
        placeholder="+ with paper lanterns"
        aria-describedby={`${id}-hint ${id}-refusal`}
        aria-invalid={refusal !== ""}
        onChange={(event) => {
          setDelta(event.target.value);
          setRefusal("");
        }}
      />
      <p className="hint" id={`${id}-hint`}>
        “+ with flying dragons” adds, “- mushrooms” takes out, any other words replace.
      </p>
      <p className="refusal" id={`${id}-refusal`} role="alert">
        {refusal}
      </p>
      <label className="check">
        <input type="checkbox" checked={lockSeed} onChange={(event) => setLockSeed(event.target.checked)} />
        <span>Keep the seed, and with it the composition</span>
      </label>
      <button type="submit" className="primary-button" disabled={isBusy || isRefused}>
        <IconBrush /> Paint again
      </button>
    </form>
  );
}
