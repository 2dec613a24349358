import { useMutation } from "urql";
import { report } from "../api/report";
import { CancelJobDocument, RegenerateDocument, type RegenerateInput } from "../graphql/generated/graphql";
import { announce } from "../ui/announcer";
import { newKey } from "../ui/keys";
import { toStudio } from "../ui/router";
import { showToast } from "../ui/toasts";

function showRefusal(message: string): void {
  showToast({ tone: "problem", title: "That frame cannot be painted again", message });
}

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

  /** Start a new frame from an old one. What a form should say goes to `refuse`, if there is one. */
  async function regenerate(
    input: RegenerateInput,
    refuse: (message: string) => void = showRefusal,
    idempotencyKey = newKey(),
  ): Promise<void> {
    const { data, error } = await regenerateJob({ input: { ...input, idempotencyKey } });
    if (error) return report(error, () => void regenerate(input, refuse, idempotencyKey));
    const result = data?.regenerate;
    if (!result) return;
    if (result.__typename === "JobRegenerated") {
      announce("A new frame is on the easel.");
      toStudio();
      scrollTo({ top: document.getElementById("sketchbook")?.offsetTop ?? 0 });
    } else if (result.__typename === "PromptRejected" || result.__typename === "InvalidInput") {
      refuse(result.message);
    } else showRefusal(result.message);
  }

  return { cancel, regenerate, isBusy: cancelling.fetching || regenerating.fetching };
}
