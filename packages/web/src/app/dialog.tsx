import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { Icon } from './icons.js';

/** A window over the page: the browser keeps the focus in it, and gives it back. */
export function Dialog(props: {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
  readonly wide?: boolean;
}) {
  const { title, onClose, children, wide = false } = props;
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement;
    element.current?.showModal();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={element}
      class={wide ? 'wide' : ''}
      aria-labelledby={id}
      onClose={onClose}
      onClick={(event) => {
        // On what is around it, and not in it.
        if (event.target === element.current) element.current?.close();
      }}
    >
      <div class="dialog-body">
        <div class="dialog-head">
          <h2 id={id}>{title}</h2>
          <button
            type="button"
            class="button plain"
            aria-label="Close"
            onClick={() => element.current?.close()}
          >
            <Icon name="close" />
          </button>
        </div>
        {children}
      </div>
    </dialog>
  );
}

/** Asks before something is done that can't be undone. */
export function Confirm(props: {
  readonly title: string;
  readonly action: string;
  readonly onYes: () => void;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}) {
  const { title, action, onYes, onClose, children } = props;
  return (
    <Dialog title={title} onClose={onClose}>
      {children}
      <div class="dialog-actions">
        <button type="button" class="button" onClick={onClose} autofocus>
          Cancel
        </button>
        <button
          type="button"
          class="button danger"
          onClick={() => {
            onYes();
            onClose();
          }}
        >
          {action}
        </button>
      </div>
    </Dialog>
  );
}

/** Asks for a line of text. */
export function Ask(props: {
  readonly title: string;
  readonly label: string;
  readonly action: string;
  /** Why a text will not do; undefined when it will. */
  readonly fault: (text: string) => string | undefined;
  readonly onText: (text: string) => void;
  readonly onClose: () => void;
}) {
  const { title, label, action, fault, onText, onClose } = props;
  const input = useRef<HTMLInputElement>(null);
  const complaint = useRef<HTMLParagraphElement>(null);
  const id = useId();
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const text = input.current!.value.trim();
          const why = fault(text);
          complaint.current!.textContent = why ?? '';
          input.current!.setAttribute('aria-invalid', String(why !== undefined));
          if (why !== undefined) return input.current!.focus();
          onText(text);
          onClose();
        }}
      >
        <label for={id}>{label}</label>
        <input id={id} ref={input} type="text" autocomplete="off" spellcheck={false} autofocus />
        <p class="fault" role="alert" ref={complaint} />
        <div class="dialog-actions">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button main">
            {action}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
