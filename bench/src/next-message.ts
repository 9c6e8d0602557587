import type { EventEmitter } from 'node:events';

/** What a process or a thread says next. @throws Error when it ends instead. */
export function nextMessage<T>(child: Pick<EventEmitter, 'once' | 'off'>): Promise<T> {
  return new Promise((resolve, reject) => {
    const onMessage = (message: T) => {
      child.off('exit', onExit);
      resolve(message);
    };
    const onExit = (code: number | null) => {
      child.off('message', onMessage);
      reject(new Error(`a process or thread ended with ${code}`));
    };
    child.once('exit', onExit);
    child.once('message', onMessage);
  });
}
