import { useMutation } from "urql";
import { report } from "../api/report";
import { CancelJobDocument, RegenerateDocument, type RegenerateInput } from "../graphql/generated/graphql";
import { announce } from "../ui/announcer";
import { newKey } from "../ui/keys";
import { toStudio } from "../ui/router";
import { showToast } from "../ui/toasts";

export type Refusal = { field: string; message: string };

/** What can be done with a frame. Failures that belong to a form come back, all others are shown. */
export function useFrameActions() {
  const [cancelling, cancelJob] = useMutation(CancelJobDocument);
  const [regenerating, regenerateJob] = useMutation(RegenerateDocument);

  async function cancel(id: string): Promise<void> {
    const { data, error } = await cancelJob({ id });
    if (error) report(error, () => void cancel(id));
    else if (data?.cancelJob.__typename === "JobNotFound") {
      showToast({ tone: "problem", title: "Not there any more", message: data.cancelJob.message });
    }
  }

  /** Start a new frame from an old one. Returns what the form should say, if it was refused. */
  async function regenerate(
    input: RegenerateInput,
    idempotencyKey = newKey(),
  ): Promise<Refusal | undefined> {
    const { data, error } = await regenerateJob({ input: { ...input, idempotencyKey } });
    if (error) {
      report(error, () => void regenerate(input, idempotencyKey));
      return undefined;
    }
    const result = data?.regenerate;
    if (result?.__typename === "JobRegenerated") {
      announce("A new frame is on the easel.");
      toStudio();
      scrollTo({ top: document.getElementById("sketchbook")?.offsetTop ?? 0 });
      return undefined;
    }
    if (!result) return undefined;
    if (result.__typename === "PromptRejected" || result.__typename === "InvalidInput") {
      return { field: "promptDelta", message: result.message };
    }
    showToast({ tone: "problem", title: "That frame cannot be painted again", message: result.message });
    return undefined;
  }

  return { cancel, regenerate, isBusy: cancelling.fetching || regenerating.fetching };
}
