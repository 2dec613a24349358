import { useEffect, useId, useRef, useState } from "react";
import { TAKEN } from "../api/upload";
import { IconButton } from "../ui/Button";
import { IconCamera, IconClose, IconPhoto } from "../ui/icons";
import { Camera } from "./Camera";
import type { Photo } from "./usePhoto";


interface PhotoWellProps {
  photo: Photo;
  choose: (file: Blob) => void;
  remove: () => void;
}

/** Where the photo goes: dropped anywhere on the page, pasted, picked, or taken. */
export function PhotoWell({ photo, choose, remove }: PhotoWellProps) {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const [isCameraOpen, setCameraOpen] = useState(false);
  const isDragging = useDroppedFiles(choose);
  const hasPicture = photo.state === "sending" || photo.state === "there";

  return (
    <div className="well" data-state={photo.state} data-dragging={isDragging}>
      <input
        ref={input}
        id={id}
        className="visually-hidden"
        type="file"
        accept={TAKEN.join(",")}
        aria-label="Choose a photo"
        onChange={(event) => {
          const [file] = event.target.files ?? [];
          if (file) choose(file);
          event.target.value = ""; // the same file may be chosen again
        }}
      />
      {hasPicture ? (
        <div className="well-picture">
          <img src={photo.preview} alt="What will be painted" />
          {photo.state === "sending" ? (
            <progress value={photo.fraction} aria-label="Sending the photo" />
          ) : null}
          <IconButton
            className="well-remove"
            label="Remove the photo"
            icon={<IconClose />}
            onClick={() => {
              remove();
              input.current?.focus();
            }}
          />
        </div>
      ) : (
        <>
          <label htmlFor={id} className="well-label">
            <IconPhoto />
            <span>{isDragging ? "Let it go here" : "Add a photo"}</span>
            <small>drop, paste or pick one</small>
          </label>
          <button type="button" className="link-button" onClick={() => setCameraOpen(true)}>
            <IconCamera /> Take one
          </button>
        </>
      )}
      <p className="refusal" role="alert">
        {photo.state === "refused" ? photo.message : ""}
      </p>
      {isCameraOpen ? <Camera onPhoto={choose} onClose={() => setCameraOpen(false)} /> : null}
    </div>
  );
}

/** Files dropped anywhere on the page, or pasted. Returns whether one hovers above it. */
function useDroppedFiles(take: (file: Blob) => void): boolean {
  const [isDragging, setDragging] = useState(false);
  useEffect(() => {
    const isFile = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const over = (event: DragEvent) => {
      if (!isFile(event)) return;
      event.preventDefault();
      setDragging(true);
    };
    const leave = (event: DragEvent) => event.relatedTarget === null && setDragging(false);
    const drop = (event: DragEvent) => {
      if (!isFile(event)) return;
      event.preventDefault();
      setDragging(false);
      const [file] = event.dataTransfer?.files ?? [];
      if (file) take(file);
    };
    const paste = (event: ClipboardEvent) => {
      const file = [...(event.clipboardData?.files ?? [])].find((each) => each.type.startsWith("image/"));
      if (file) take(file);
    };
    addEventListener("dragover", over);
    addEventListener("dragleave", leave);
    addEventListener("drop", drop);
    addEventListener("paste", paste);
    return () => {
      removeEventListener("dragover", over);
      removeEventListener("dragleave", leave);
      removeEventListener("drop", drop);
      removeEventListener("paste", paste);
    };
  }, [take]);
  return isDragging;
}
