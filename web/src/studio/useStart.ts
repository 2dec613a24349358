import { useRef } from "react";
import { useMutation } from "urql";
import { report } from "../api/report";
import { StartDocument, type StartGenerationInput } from "../graphql/generated/graphql";
import { announce } from "../ui/announcer";
import { newKey } from "../ui/keys";
import { showToast } from "../ui/toasts";

/** What was wrong with one field of the form. */
export interface FieldProblem {
  field: string;
  message: string;
}

export type Outcome = "started" | FieldProblem;

/**
 * Starts a grid. The same wish keeps its idempotency key until it was answered, so that pressing
 * the button again after a network failure can never paint, and bill, twice.
 */
export function useStart() {
  const [{ fetching }, mutate] = useMutation(StartDocument);
  const pending = useRef({ wish: "", key: "" });

  /** `settle` hears of it once, perhaps only after a person has tried again from the toast. */
  async function start(input: StartGenerationInput, settle: (outcome: Outcome) => void): Promise<void> {
    const wish = JSON.stringify(input);
    if (pending.current.wish !== wish) pending.current = { wish, key: newKey() };
    const { data, error } = await mutate({ input: { ...input, idempotencyKey: pending.current.key } });
    if (error) {
      return report(error, () => void start(input, settle));
    }
    pending.current = { wish: "", key: "" };
    const result = data?.startGeneration;
    switch (result?.__typename) {
      case "GenerationStarted":
        if (result.deduplicated) {
          showToast({
            tone: "news",
            title: "Already on the easel",
            message: "The same frames are being painted right now.",
          });
        }
        announce(`${result.generation.jobs.length} frames are on the easel.`);
        return settle("started");
      case "InvalidInput":
        return settle({ field: result.field, message: result.message });
      case "PromptRejected":
        return settle({ field: "prompt", message: result.message });
      case "UploadNotFound":
        return settle({ field: "uploadId", message: result.message });
      case "IdempotencyConflict":
        showToast({ tone: "problem", title: "That did not work", message: result.message });
    }
  }

  return { start, isStarting: fetching };
}
