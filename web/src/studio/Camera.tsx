import { useEffect, useRef, useState } from "react";
import { Dialog } from "../ui/Dialog";
import { IconCamera } from "../ui/icons";

interface CameraProps {
  onPhoto: (photo: Blob) => void;
  onClose: () => void;
}

/** Takes a photo with this machine's camera. The camera is off as soon as the dialog closes. */
export function Camera({ onPhoto, onClose }: CameraProps) {
  const video = useRef<HTMLVideoElement>(null);
  const [state, setState] = useState<"asking" | "on" | "refused">("asking");

  useEffect(() => {
    let stream: MediaStream | undefined;
    let isOpen = true;
    const stop = () => stream?.getTracks().forEach((track) => track.stop());
    const start = async () => {
      try {
        stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
        if (!isOpen) return stop();
        if (video.current) video.current.srcObject = stream;
      } catch {
        setState("refused"); // no camera, no permission, or no https
      }
    };
    void start();
    return () => {
      isOpen = false;
      stop();
    };
  }, []);

  async function take() {
    const photo = video.current ? await still(video.current) : null;
    if (photo) onPhoto(photo);
    onClose();
  }

  return (
    <Dialog title="Take a photo" className="camera-dialog" onClose={onClose}>
      <h2>Take a photo</h2>
      {state === "refused" ? (
        <p className="empty">There is no camera here that this page may use. You can pick a photo instead.</p>
      ) : (
        <video
          ref={video}
          autoPlay
          playsInline
          muted
          aria-label="What the camera sees"
          // Not earlier: before its first picture there is nothing to take.
          onLoadedData={() => setState("on")}
        />
      )}
      <button type="button" className="primary-button" disabled={state !== "on"} onClick={() => void take()}>
        <IconCamera /> Take it
      </button>
    </Dialog>
  );
}

function still(video: HTMLVideoElement): Promise<Blob | null> {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
}
