import { useRef } from 'preact/hooks';
import { type ChosenFile, pickedFiles } from './chosen-files.js';
import { Icon } from './icons.js';

interface WithPicker {
  showOpenFilePicker?(options: { multiple: boolean }): Promise<FileSystemFileHandle[]>;
}

/** Buttons that let files and folders be chosen. */
export function UploadButtons(props: {
  readonly onFiles: (files: readonly ChosenFile[]) => void;
  readonly main?: boolean;
}) {
  const { onFiles, main = false } = props;
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const chosen = (event: Event & { currentTarget: HTMLInputElement }) => {
    const input = event.currentTarget;
    if (input.files !== null && input.files.length > 0) onFiles(pickedFiles(input.files));
    // The same file can be chosen again.
    input.value = '';
  };
  const choose = async () => {
    // Handles lead back to the files after a reload.
    const { showOpenFilePicker } = globalThis as WithPicker;
    if (showOpenFilePicker === undefined) return files.current?.click();
    try {
      const handles = await showOpenFilePicker({ multiple: true });
      const found = handles.map(async (handle) => {
        const file = await handle.getFile();
        return { path: file.name, file, handle };
      });
      onFiles(await Promise.all(found));
    } catch (error) {
      if (error instanceof DOMException && error.name === 'AbortError') return;
      files.current?.click();
    }
  };
  return (
    <div class="row">
      <button
        type="button"
        class={main ? 'button main large' : 'button main'}
        onClick={() => void choose()}
      >
        <Icon name="upload" /> Upload files
      </button>
      <button
        type="button"
        class={main ? 'button large' : 'button'}
        onClick={() => folder.current?.click()}
      >
        <Icon name="folder" /> Upload a folder
      </button>
      <input
        ref={files}
        type="file"
        multiple
        hidden
        data-picks="files"
        aria-label="Files to upload"
        onChange={chosen}
      />
      <input
        ref={folder}
        type="file"
        multiple
        hidden
        data-picks="folder"
        aria-label="Folder to upload"
        onChange={chosen}
        {...{ webkitdirectory: true }}
      />
    </div>
  );
}
