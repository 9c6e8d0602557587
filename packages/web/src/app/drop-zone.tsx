import type { ComponentChildren } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { type ChosenFile, droppedFiles } from './chosen-files.js';

/** A part of the page that files and folders can be dropped on. There are buttons for who can't drop. */
export function DropZone(props: {
  readonly label: string;
  readonly onFiles: (files: readonly ChosenFile[]) => void;
  /** What was dropped can't be read. */
  readonly onFault: (error: unknown) => void;
  readonly disabled?: boolean;
  readonly children: ComponentChildren;
}) {
  const { label, onFiles, onFault, disabled = false, children } = props;
  const [over, setOver] = useState(false);
  const depth = useRef(0);
  const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;
  const leave = () => {
    depth.current = Math.max(0, depth.current - 1);
    if (depth.current === 0) setOver(false);
  };
  return (
    <div
      class={over ? 'drop-zone over' : 'drop-zone'}
      onDragEnter={(event) => {
        if (disabled || !hasFiles(event)) return;
        depth.current += 1;
        setOver(true);
      }}
      onDragOver={(event) => {
        // Also where nothing can be dropped: the browser would leave the page for the file.
        if (hasFiles(event)) event.preventDefault();
      }}
      onDragLeave={leave}
      onDrop={(event) => {
        if (!hasFiles(event) || event.dataTransfer === null) return;
        event.preventDefault();
        depth.current = 0;
        setOver(false);
        if (disabled) return;
        void droppedFiles(event.dataTransfer).then((found) => {
          if (found.length > 0) onFiles(found);
        }, onFault);
      }}
    >
      {children}
      {over && (
        <p class="drop-hint" aria-hidden="true">
          {label}
        </p>
      )}
    </div>
  );
}
