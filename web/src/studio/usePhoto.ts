import { useCallback, useEffect, useRef, useState } from "react";
import { UploadFailed, uploadPhoto, type UploadedPhoto } from "../api/upload";
import { announce } from "../ui/announcer";

export type Photo =
  | { state: "none" }
  | { state: "sending"; preview: string; fraction: number }
  | { state: "there"; preview: string; upload: UploadedPhoto }
  | { state: "refused"; message: string };

/** The chosen photo: shown at once, sent while the person still writes. */
export function usePhoto(maxBytes: number) {
  const [photo, setPhoto] = useState<Photo>({ state: "none" });
  const sending = useRef<AbortController>(undefined);

  const preview = photo.state === "sending" || photo.state === "there" ? photo.preview : undefined;
  useEffect(() => () => (preview ? URL.revokeObjectURL(preview) : undefined), [preview]);

  const remove = useCallback(() => {
    sending.current?.abort();
    setPhoto({ state: "none" });
  }, []);

  const choose = useCallback(
    async (file: Blob) => {
      sending.current?.abort();
      const { signal } = (sending.current = new AbortController());
      const shown = URL.createObjectURL(file);
      setPhoto({ state: "sending", preview: shown, fraction: 0 });
      try {
        const upload = await uploadPhoto(file, {
          maxBytes,
          signal,
          onProgress: (fraction) =>
            signal.aborted || setPhoto({ state: "sending", preview: shown, fraction }),
        });
        if (signal.aborted) return;
        setPhoto({ state: "there", preview: shown, upload });
        announce("The photo is there.");
      } catch (error) {
        if (signal.aborted) return;
        const message =
          error instanceof UploadFailed ? error.message : "The photo could not be sent. Please try again.";
        setPhoto({ state: "refused", message });
      }
    },
    [maxBytes],
  );

  return { photo, choose, remove };
}
