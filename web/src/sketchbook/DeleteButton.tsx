import { useState } from "react";
import { useMutation } from "urql";
import { report } from "../api/report";
import { DeleteGridDocument } from "../graphql/generated/graphql";
import { announce } from "../ui/announcer";
import { IconButton } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import { IconTrash } from "../ui/icons";

/** Deleting cannot be undone, so it asks. */
export function DeleteButton({ id }: { id: string }) {
  const [isAsking, setAsking] = useState(false);
  const [{ fetching }, deleteGrid] = useMutation(DeleteGridDocument);
  const run = async () => {
    const { error } = await deleteGrid({ id });
    if (error) {
      setAsking(false);
      report(error, () => void run());
    } else announce("The frames were deleted.");
  };
  return (
    <>
      <IconButton label="Delete these frames" icon={<IconTrash />} onClick={() => setAsking(true)} />
      {isAsking ? (
        <Dialog title="Delete these frames?" className="ask-dialog" onClose={() => setAsking(false)}>
          <h2>Delete these frames?</h2>
          <p>What is being painted is cancelled, and the pictures are gone for good.</p>
          <div className="button-row">
            <button type="button" className="primary-button" disabled={fetching} onClick={() => void run()}>
              Delete
            </button>
            <button type="button" className="quiet-button" onClick={() => setAsking(false)}>
              Keep them
            </button>
          </div>
        </Dialog>
      ) : null}
    </>
  );
}
